#pragma once

#include <memory>
#include <vector>

#include "engine/base/model_place.h"
#include "engine/weights/safetensors.h"
#include "engine/weights/weight_source.h"

namespace mmbatch {

/// A model with LoRA adapters in peft's files: adapter_config.json and adapter_model.safetensors. What they
/// add is added when weights are read, so that layers are packed as those of a model that was merged.
class AdaptedSource final : public WeightSource {
 public:
  /// @throws ModelError naming an adapter's target that the model does not have
  AdaptedSource(std::shared_ptr<const WeightSource> model, const std::vector<AdapterPlace>& adapters);

  bool has_file(const std::string& name) const override { return model_->has_file(name); }
  std::optional<std::string> read_file(const std::string& name, std::size_t max_bytes) const override;
  std::vector<std::string> list_files(const std::string& folder) const override {
    return model_->list_files(folder);
  }
  Config json_file(const std::string& name) const override {
    return name == "config.json" ? config() : model_->json_file(name);
  }
  const gguf::Metadata* gguf() const override { return model_->gguf(); }
  std::string vocabulary_file() const override { return model_->vocabulary_file(); }
  std::string fingerprint(FingerprintScope scope) const override;
  std::vector<WeightFile> files() const override;

 protected:
  Config read_config() const override;

 private:
  /// What config.json says where the head has become other than the embedding; empty where it has not.
  std::string untied_config() const;

  std::shared_ptr<const WeightSource> model_;
  std::vector<AdapterPlace> adapters_;
  std::vector<std::unique_ptr<const SafetensorsFile>> adapter_files_;  // mapped: tensors point into them
  std::vector<WeightFile> files_;
  bool untied_ = false;  // the embedding was the head, and one of the two was adapted
};

}  // namespace mmbatch
