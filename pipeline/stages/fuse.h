#pragma once

#include <variant>

#include "fusion/model.h"
#include "pipeline/graph/messages.h"

namespace mmbatch {

/// Puts an item's images and text together: to a prompt for the decoder, or with a dual encoder to its
/// answer, which is the outcome already, as every fault is. Const and thread-safe.
class Fuse {
 public:
  explicit Fuse(const Model& model) : model_(model) {}
  std::variant<Fused, Outcome> operator()(const ImagesEncoded& images, const TextEncoded& text) const;

 private:
  Matched match(const Item& item, const std::vector<EncodedImage>& images, const EncodedText& text) const;

  const Model& model_;
};

}  // namespace mmbatch
