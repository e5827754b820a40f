#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/weights/weight_source.h"

namespace mmbatch {

/// What a model is opened from.
struct ModelPlace {
  ModelPlace(std::filesystem::path model_ = {},
             std::filesystem::path projector_ = {})  // NOLINT: a path is a place
      : model(std::move(model_)), projector(std::move(projector_)) {}

  /// A checkpoint folder; a GGUF file, the first of its shards; or a folder that holds one.
  std::filesystem::path model;
  /// The mmproj file of a GGUF model; empty: the only one beside the model.
  std::filesystem::path projector;
};

/// Opens a model: its weights are mapped, not read.
/// @throws ModelError that says what was found, and what a model is
std::shared_ptr<const WeightSource> open_model(const ModelPlace& place);

}  // namespace mmbatch
