#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// How a model writes boxes and points into its answers.
enum class RegionFormat {
  none,
  json_of_seen_pixels,   // [{"bbox_2d": [x1, y1, x2, y2], "label": …}], in pixels of the picture as it was
                         // resized
  json_of_thousandths,   // the same in thousandths of a side
  pairs_of_thousandths,  // label(x1,y1),(x2,y2)
  marked_thousandths,    // [x1, y1, x2, y2] between marks, or JSON there
  location_tokens_of_1000,  // label<loc_x1><loc_y1><loc_x2><loc_y2>…
  location_tokens_of_1024,  // <locYYYY><locXXXX><locYYYY><locXXXX> label ; …
};

enum class RegionKind { box, point, polygon };
std::string_view to_string(RegionKind kind);

/// What an answer says of a place in a picture. A box has its two corners, a point itself.
struct Region {
  struct Point {
    double x = 0, y = 0;  // pixels of the picture as it came, within it
  };
  RegionKind kind = RegionKind::box;
  std::string label;
  std::vector<Point> points;
};

/// A picture's size, in pixels: as it came, and as the model was shown it.
struct PictureFrame {
  int width = 0, height = 0;
  int seen_width = 0, seen_height = 0;
};

/// What six and more location tokens in a row are: boxes, or the corners of one region.
enum class ManyNumbers { boxes, corners };

inline constexpr std::size_t kMostRegions = 10000;
/// The regions of an answer, in its order; what is not written as the model writes them is passed over. At
/// most kMostRegions.
std::vector<Region> find_regions(RegionFormat format, std::string_view answer, const PictureFrame& picture,
                                 ManyNumbers many = ManyNumbers::boxes);

/// As JSON: [{"kind", "label", "x1", "y1", "x2", "y2", "points": [[x, y], …] of polygons, "width", "height"},
/// …], where x1 … y2 are what lies around the region, and width and height are the picture's; empty for none.
std::string regions_json(const std::vector<Region>& regions, const PictureFrame& picture);

}  // namespace mmbatch
