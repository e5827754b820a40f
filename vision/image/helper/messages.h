#pragma once

#include <cstdint>
#include <type_traits>

#include "engine/base/image/image_part.h"

namespace mmbatch::helper {

// What a helper process and its caller send each other, whole, over a socket of packets. Both are the same
// program.

inline constexpr int kSocket = 3;  // the helper's end

/// From the helper, once: it is confined and waits for images.
struct Hello {
  std::uint64_t address_space = 0;  // bytes that it takes before any image
  char problem[240] = "";           // why it cannot serve; empty if it can
};

/// What a helper opens: each kind loads the libraries of its formats alone, and has the rights that they
/// need.
enum class Kind { images, documents, videos };

/// To the helper, with two files: the encoded bytes, and where the pixels go.
struct Request {
  std::int32_t format = 0;     // ImageFormat
  std::int32_t truncated = 0;  // TruncatedImages
  std::uint64_t size = 0;      // bytes of the encoded image, at least 1
  std::uint64_t capacity = 0;  // bytes that there are for pixels
  std::int32_t wanted = 0;     // DocumentRequest::Wanted, of documents and videos
  ImagePart part = {};
};

struct Reply {
  std::int32_t outcome = 0;  // CodecResult::Outcome
  std::int32_t width = 0;    // of the decoded picture
  std::int32_t height = 0;
  std::uint32_t pages = 0;  // DocumentFacts
  double seconds = 0;
  char problem[240] = "";
};

static_assert(std::is_trivially_copyable_v<Hello> && std::is_trivially_copyable_v<Request> &&
              std::is_trivially_copyable_v<Reply>);

}  // namespace mmbatch::helper
