#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/weights/safetensors.h"
#include "engine/weights/weight_source.h"

namespace mmbatch {

/// model.safetensors of a folder, or the shards that its model.safetensors.index.json names.
/// @throws ModelError that says what was found instead
std::vector<SafetensorsFile> open_safetensors(const std::filesystem::path& folder);

/// A folder of files: small ones as they lie there, tensors in mapped safetensors files.
class FolderSource : public WeightSource {
 public:
  bool has_file(const std::string& name) const override { return small_.has_file(name); }
  std::optional<std::string> read_file(const std::string& name, std::size_t max_bytes) const override {
    return small_.read_file(name, max_bytes);
  }
  std::vector<std::string> list_files(const std::string& folder) const override {
    return small_.list_files(folder);
  }
  const gguf::Metadata* gguf() const override { return small_.gguf(); }
  std::string fingerprint(FingerprintScope scope) const override;
  std::vector<WeightFile> files() const override;

 protected:
  FolderSource(const std::filesystem::path& folder, std::vector<SafetensorsFile> files);
  Config read_config() const override;
  const std::vector<SafetensorsFile>& mapped() const { return mapped_; }

 private:
  FolderFiles small_;
  std::vector<SafetensorsFile> mapped_;
};

/// A published checkpoint.
class SafetensorsFolder final : public FolderSource {
 public:
  explicit SafetensorsFolder(const std::filesystem::path& folder)
      : SafetensorsFolder(folder, open_safetensors(folder)) {}
  /// @throws ModelError for a tensor stored twice, and for packed files
  SafetensorsFolder(const std::filesystem::path& folder, std::vector<SafetensorsFile> files);
};

/// A folder that mmbatch quantize wrote.
class PackedFolder final : public FolderSource {
 public:
  /// @throws ModelError when the weights are not in one packed file
  PackedFolder(const std::filesystem::path& folder, std::vector<SafetensorsFile> files);

  std::optional<Precision> packed() const override { return mapped().front().packed(); }
  std::string smoothed() const override { return mapped().front().smoothed(); }
};

}  // namespace mmbatch
