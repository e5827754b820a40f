#pragma once

#include "fusion/model.h"
#include "pipeline/messages.h"

namespace mmbatch {

/// Puts an item's images and text together. Const and thread-safe.
class Fuse {
 public:
  explicit Fuse(const Model& model) : model_(model) {}
  Fused operator()(const ImagesEncoded& images, const TextEncoded& text) const;

 private:
  const Model& model_;
};

}  // namespace mmbatch
