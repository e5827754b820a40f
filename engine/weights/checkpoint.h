#pragma once

#include <filesystem>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/weights/safetensors.h"

namespace mmbatch {

/// The weights of a checkpoint folder: model.safetensors, or the shards that model.safetensors.index.json
/// names. Mapped, not read; const and shared by all threads.
class Checkpoint {
 public:
  /// @throws ModelError naming file, tensor, expected and found.
  explicit Checkpoint(const std::filesystem::path& folder);

  bool has(const std::string& name) const { return tensors_.count(name) > 0; }
  /// The tensor of that name and exactly that shape.  @throws ModelError
  TensorView tensor(const std::string& name, const std::vector<std::size_t>& shape) const;
  /// The tensor of that name, of whatever shape.  @throws ModelError
  const TensorView& tensor(const std::string& name) const;
  /// The first of these prefixes under which `probe` is stored; how writers of different years named a model.
  /// @throws ModelError that lists the names tried.
  std::string prefix_of(const std::string& probe, std::initializer_list<const char*> prefixes) const;
  /// True when some tensor's name begins with `prefix`.
  bool has_below(const std::string& prefix) const;

  /// The precision that the weights are packed in by mmbatch quantize; none for a published checkpoint.
  std::optional<Precision> packed() const { return packed_; }
  const std::filesystem::path& folder() const { return folder_; }
  const std::vector<SafetensorsFile>& files() const { return files_; }
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }

 private:
  std::filesystem::path folder_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, TensorView> tensors_;
  std::optional<Precision> packed_;
};

}  // namespace mmbatch
