#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/weights/weight_source.h"

namespace mmbatch {

/// A checkpoint whose large tensors have names, types and shapes, but no values: they are zeros that take no
/// memory and no time. A model that is made of it says what loading the checkpoint would say, and computes
/// nothing. What was read of the checkpoint counts as read.
class HollowSource final : public WeightSource {
 public:
  explicit HollowSource(std::shared_ptr<const WeightSource> whole);

  bool has_file(const std::string& name) const override { return whole_->has_file(name); }
  std::optional<std::string> read_file(const std::string& name, std::size_t max_bytes) const override {
    return whole_->read_file(name, max_bytes);
  }
  std::vector<std::string> list_files(const std::string& folder) const override {
    return whole_->list_files(folder);
  }
  Config json_file(const std::string& name) const override { return whole_->json_file(name); }
  const gguf::Metadata* gguf() const override { return whole_->gguf(); }
  std::string vocabulary_file() const override { return whole_->vocabulary_file(); }
  std::string fingerprint(FingerprintScope scope) const override { return whole_->fingerprint(scope); }
  std::vector<WeightFile> files() const override { return whole_->files(); }
  std::optional<Precision> packed() const override { return whole_->packed(); }
  std::string smoothed() const override { return whole_->smoothed(); }

 private:
  Config read_config() const override { return whole_->config(); }

  std::shared_ptr<const WeightSource> whole_;
};

}  // namespace mmbatch
