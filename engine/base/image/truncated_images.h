#pragma once

namespace mmbatch {

/// What becomes of a picture whose pixels are not all there.
enum class TruncatedImages {
  fail,   // it is not decoded
  accept  // it is decoded as far as it goes; the rest is black or grey, as the format's library leaves it
};

}  // namespace mmbatch
