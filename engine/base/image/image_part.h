#pragma once

#include <cstdint>
#include <string>

namespace mmbatch {

/// Which picture of a file that holds several: a page of a document, or a moment of a video. A value.
struct ImagePart {
  std::uint32_t page = 0;   // from 1, of a document, a TIFF file or an animation; 0: the file is one picture
  double seconds = -1;      // of a video: the frame that is shown then; negative: not a video
  int dpi = 0;              // at which a page of a PDF is drawn
  std::int64_t pixels = 0;  // at most so many of it, whatever its paper

  bool empty() const { return page == 0 && seconds < 0; }
  bool operator==(const ImagePart&) const = default;
};

/// As part of a key: equal parts, equal texts. Empty for a file that is one picture.
std::string key_text(const ImagePart& part);

}  // namespace mmbatch
