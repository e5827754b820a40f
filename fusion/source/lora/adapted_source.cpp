#include "fusion/source/lora/adapted_source.h"

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "fusion/source/lora/adapter.h"

namespace mmbatch {

AdaptedSource::AdaptedSource(std::shared_ptr<const WeightSource> model,
                             const std::vector<AdapterPlace>& adapters)
    : WeightSource(model->path()), model_(std::move(model)), adapters_(adapters), files_(model_->files()) {
  if (model_->packed()) {
    throw ModelError(
        fmt::format("{}: its weights are packed in {}, to which no adapter can be added; give the "
                    "published checkpoint, or quantize it with the adapter (mmbatch quantize --lora)",
                    path().string(), to_string(*model_->packed())));
  }
  TensorMap tensors = model_->tensors();
  for (const AdapterPlace& adapter : adapters_) {
    const SafetensorsFile& file = *adapter_files_.emplace_back(add_adapter(adapter, tensors));
    files_.push_back({file.path().filename().string(), file.bytes(), file.tensors().size()});
  }
  for (const auto& [name, tensor] : tensors) add(tensor, path());
  for (const auto& [name, type] : model_->other_tensors()) add_other(name, type);
}

std::string AdaptedSource::fingerprint(FingerprintScope scope) const {
  Sha256 hash;
  hash.field("mmbatch adapted model 1").field(model_->fingerprint(scope));
  for (const AdapterPlace& adapter : adapters_)
    hash.field(folder_fingerprint(adapter.folder, scope)).field(fmt::format("{}", adapter.scale));
  if (scope == FingerprintScope::all_bytes) {
    for (const auto& [name, tensor] : tensors()) check_finite(tensor);
  }
  return hash.hex();
}

std::vector<WeightFile> AdaptedSource::files() const {
  return files_;
}

}  // namespace mmbatch
