#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/weights/gguf/gguf_file.h"
#include "engine/weights/weight_source.h"

namespace mmbatch {

/// A model in GGUF files, with an mmproj file where it sees images: as a folder of Hugging Face's files would
/// have it. Its keys become config.json and what else a folder has; its tensors stand under the names of
/// those files.
class GgufSource final : public WeightSource {
 public:
  /// What becomes of a vision tower in the text model's own file.
  enum class OwnTower { used, left_out };

  /// @param projector empty: none  @throws ModelError
  GgufSource(const std::filesystem::path& model, const std::filesystem::path& projector, OwnTower tower);

  bool has_file(const std::string& name) const override { return small_.count(name) > 0; }
  std::optional<std::string> read_file(const std::string& name, std::size_t max_bytes) const override;
  /// At the top, what a folder of the same model would have.
  std::vector<std::string> list_files(const std::string& folder) const override;
  std::string vocabulary_file() const override { return files_.front().keys_alone(); }
  const gguf::Metadata* gguf() const override { return &files_.front().metadata(); }
  std::string fingerprint(FingerprintScope scope) const override;
  std::vector<WeightFile> files() const override;

 protected:
  Config read_config() const override;

 private:
  std::vector<GgufFile> files_;  // of the text model
  std::optional<GgufFile> projector_;
  std::map<std::string, std::string> small_;  // by name
};

}  // namespace mmbatch
