#pragma once

#include <concepts>
#include <filesystem>
#include <memory>
#include <utility>

#include "engine/weights/weight_source.h"

namespace mmbatch {

/// What a model is opened from.
struct ModelPlace {
  ModelPlace() = default;
  /// Whatever is a path is a place.
  template <class Path>
  requires std::convertible_to<const Path&, std::filesystem::path> ModelPlace(
      const Path& model_, std::filesystem::path projector_ = {})  // NOLINT(runtime/explicit)
      : model(model_), projector(std::move(projector_)) {}

  /// A checkpoint folder; a GGUF file, the first of its shards; or a folder that holds one.
  std::filesystem::path model;
  /// The mmproj file of a GGUF model; empty: the only one beside the model.
  std::filesystem::path projector;
};

/// Opens a model: its weights are mapped, not read.
/// @throws ModelError that says what was found, and what a model is
std::shared_ptr<const WeightSource> open_model(const ModelPlace& place);

}  // namespace mmbatch
