#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jobs/text/node.h"

namespace mmbatch {

/// The keys by which a job or an item says what is shown of a document or a video:
///
///   "document": path,  "pages": "all" | number | "1-3, 5, 7-" | [number…],
///   "pages_as": "items" (each page an item of its own) | "images" (all of them images of one),
///   "dpi": 36 … 600,  "page_pixels": number      how large a page of a PDF is drawn
///   "video": path,  "frames": number, evenly | "fps": number | "times": [seconds…],
///   "video_input": "auto" (as the model takes videos, else as images) | "frames" (as images)
struct PageRange {
  std::uint32_t first = 1;
  std::optional<std::uint32_t> last;  // none: to the end
  bool operator==(const PageRange&) const = default;
};
enum class PagesAs { items, images };
enum class VideoAs { models_own, images };

/// What a source says; what it leaves open, a weaker one says.
struct DocumentSettings {
  std::optional<std::vector<PageRange>> pages;
  std::optional<PagesAs> pages_as;
  std::optional<int> dpi;
  std::optional<std::int64_t> page_pixels;
  std::optional<std::uint32_t> frames;  // one of these three at most
  std::optional<double> fps;
  std::optional<std::vector<double>> times;  // in seconds
  std::optional<VideoAs> video_as;
};

constexpr std::uint32_t kMostParts = 1024;     // of one item
constexpr std::uint32_t kMostPages = 100'000;  // of one document

/// Keys of jobs and items; items have `document` and `video` too.
const std::vector<std::string>& document_keys();
/// Of them those about pages, and those about videos.
const std::vector<std::string>& page_keys();
const std::vector<std::string>& video_keys();

/// What those keys of a map say.  @throws PlacedError
DocumentSettings read_document_settings(const Node& map);
DocumentSettings merged(DocumentSettings weaker, const DocumentSettings& stronger);

}  // namespace mmbatch
