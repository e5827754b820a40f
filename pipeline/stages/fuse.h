#pragma once

#include <variant>

#include "fusion/prompting.h"
#include "pipeline/graph/messages.h"
#include "pipeline/watch/timeline.h"

namespace mmbatch {

/// Puts an item's images and text together: to a prompt for the decoder, or with a dual encoder to its
/// answer, which is the outcome already, as every fault is. Thread-safe.
class Fuse {
 public:
  Fuse(const Model& model, Timeline& timeline) : model_(model), timeline_(timeline) {}
  std::variant<Fused, Outcome> operator()(const ImagesEncoded& images, const TextEncoded& text) const;

 private:
  /// The picture of an item that has one.
  PictureFrame frame_of(const Images& images) const;
  using Prompted = std::variant<std::shared_ptr<const Prompt>, Matched>;
  Prompted fuse(const Ticket& ticket, const Images& images, const EncodedText& text) const;
  Matched match(const Item& item, const Images& images, const EncodedText& text) const;

  const Model& model_;
  Timeline& timeline_;
};

}  // namespace mmbatch
