#pragma once

#include <functional>

#include "fusion/model.h"
#include "jobs/media/media.h"
#include "pipeline/graph/messages.h"
#include "pipeline/stages/batch_encoder.h"
#include "vision/image/image_decode.h"

namespace mmbatch {

struct EncodeImageOptions {
  std::size_t cache_bytes = std::size_t{1} << 30;  // features kept after use
  std::size_t batch = 8;                           // images encoded together at most
  MediaLimits media;
  ImageLimits image;
};

/// Encodes the images of items: each distinct image once, several images as one batch. Thread-safe.
class EncodeImage {
 public:
  using Done = std::function<void(ImagesEncoded)>;

  /// @throws ModelError when images cannot be decoded at all.
  EncodeImage(const Model& model, EncodeImageOptions options, Timeline& timeline);

  /// Calls `done` exactly once, now or from another thread's call.
  void operator()(Ticket ticket, Done done);

  std::size_t images_encoded() const { return encoder_.encoded(); }
  std::size_t cache_hits() const { return encoder_.cache_hits(); }

 private:
  PixelValues prepare(const Item::Image& image, const Deadline& deadline) const;

  const Model& model_;
  const EncodeImageOptions options_;
  BatchEncoder<PixelValues> encoder_;
};

}  // namespace mmbatch
