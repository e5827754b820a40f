#pragma once

#include <concepts>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace mmbatch {

/// A LoRA adapter, and how much of it is added.
struct AdapterPlace {
  std::filesystem::path folder;
  double scale = 1.0;

  bool operator==(const AdapterPlace&) const = default;
};

/// What is put to a model.
struct ModelParts {
  /// The mmproj file of a GGUF model; empty: the only one beside the model; "none": none.
  std::filesystem::path projector;
  std::vector<AdapterPlace> adapters;  // one after another

  bool operator==(const ModelParts&) const = default;
};

/// What a model is opened from.
struct ModelPlace {
  ModelPlace() = default;
  /// Whatever is a path is a place.
  template <class Path>
  requires std::convertible_to<const Path&, std::filesystem::path> ModelPlace(
      const Path& model_, ModelParts parts_ = {})  // NOLINT(runtime/explicit)
      : model(model_), parts(std::move(parts_)) {}

  /// A checkpoint folder; a GGUF file, the first of its shards; a folder that holds one; or a name.
  std::filesystem::path model;
  ModelParts parts;

  bool operator==(const ModelPlace&) const = default;
};

}  // namespace mmbatch
