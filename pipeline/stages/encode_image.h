#pragma once

#include <cstddef>

#include "fusion/model.h"
#include "pipeline/graph/messages.h"
#include "pipeline/stages/batch_encoder.h"
#include "pipeline/stages/images/image_files.h"
#include "pipeline/stages/images/shown_pictures.h"
#include "vision/image/image_decode.h"

namespace mmbatch {

struct EncodeImageOptions {
  std::size_t cache_bytes = std::size_t{1} << 30;  // features kept after use
  std::size_t batch = 8;                           // images encoded together at most
  ImageLimits image;
};

/// Encodes the images of items: each distinct image once, several images as one batch. Thread-safe.
class EncodeImage {
 public:
  /// @param files outlives this  @throws ModelError when images cannot be decoded at all.
  EncodeImage(const Model& model, const EncodeImageOptions& options, ImageFiles& files, Timeline& timeline);

  /// Calls `done` exactly once, now or from another thread's call.
  void operator()(const TicketPtr& ticket, Done<Branch<Images>> done);

  std::size_t images_encoded() const { return encoder_.encoded(); }
  std::size_t cache_hits() const { return encoder_.cache_hits(); }

 private:
  /// An image that waits for the encoder.
  struct Prepared {
    PixelValues pixels;
    MemoryBudget::Lease memory;
  };
  BatchEncoder<Prepared>::Options encoder_options(const EncodeImageOptions& options) const;
  Prepared prepare(const Ticket& ticket, const PictureGroup& group) const;
  /// What the model takes to make rows of a group, one of whose images has this header.
  PreparationMemory preparation(const Ticket& ticket, const PictureGroup& group,
                                const ImageHeader& header) const;
  /// @param image of the group.  @param memory for the decoded image and what is made of it, which stays in
  /// it
  Image decode(const Ticket& ticket, const PictureGroup& group, std::size_t image,
               MemoryBudget::Lease& memory) const;

  const Model& model_;
  const ImageLimits limits_;
  const std::size_t available_;  // bytes of memory, for all that the process does
  bool pads_ = false;            // to squares
  ImageFiles& files_;
  BatchEncoder<Prepared> encoder_;
};

}  // namespace mmbatch
