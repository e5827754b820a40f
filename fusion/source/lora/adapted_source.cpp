#include "fusion/source/lora/adapted_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "engine/weights/derived.h"
#include "fusion/source/lora/adapter.h"

namespace mmbatch {
namespace {

using nlohmann::json;

constexpr const char *kHead = "lm_head.weight", *kConfig = "config.json", *kTied = "tie_word_embeddings";

/// The text model's table of embeddings; null where none has one of the usual names.
const TensorView* embedding_of(const TensorMap& tensors) {
  for (const char* prefix : {"model.", "model.language_model.", "language_model.model.", "model.text_model.",
                             "transformer.", "language_model.", ""}) {
    for (const char* name : {"embed_tokens.weight", "wte.weight"}) {
      const auto found = tensors.find(std::string(prefix) + name);
      if (found != tensors.end()) return &found->second;
    }
  }
  return nullptr;
}

/// Whether the embedding is the head too.
bool is_tied(const Config& config, const TensorMap& tensors) {
  const bool stored = std::any_of(tensors.begin(), tensors.end(), [](const auto& one) {
    return one.first == kHead || one.first.ends_with(std::string(".") + kHead);
  });
  return !stored || config.flag(kTied, false) || config.object("text_config").flag(kTied, false);
}

bool is_same(const TensorView& a, const TensorView& b) {
  return a.data == b.data && a.form == b.form && a.first == b.first;
}

}  // namespace

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
  // As peft: adapters of an embedding do not change the head that it also is, nor the other way round.
  const TensorView* embedding = embedding_of(tensors);
  std::optional<TensorView> before;
  if (embedding != nullptr && is_tied(model_->config(), tensors)) {
    before = *embedding;
    tensors[kHead] = renamed(*before, kHead, before->shape);
  }
  for (const AdapterPlace& adapter : adapters_) {
    const SafetensorsFile& file = *adapter_files_.emplace_back(add_adapter(adapter, tensors));
    files_.push_back({file.path().filename().string(), file.bytes(), file.tensors().size()});
  }
  if (before) {
    untied_ = !is_same(tensors.at(kHead), *before) || !is_same(*embedding_of(tensors), *before);
    const auto own = model_->tensors().find(kHead);
    if (!untied_ && own == model_->tensors().end())
      tensors.erase(kHead);
    else if (!untied_)
      tensors[kHead] = own->second;
  }
  for (const auto& [name, tensor] : tensors) add(tensor, path());
  for (const auto& [name, type] : model_->other_tensors()) add_other(name, type);
}

std::string AdaptedSource::untied_config() const {
  if (!untied_) return {};
  json config = json::parse(model_->config().dump());
  config[kTied] = false;
  config.erase("tie_embedding");
  if (const auto text = config.find("text_config"); text != config.end() && text->is_object()) {
    (*text)[kTied] = false;
    text->erase("tie_embedding");
  }
  return config.dump(1);
}

Config AdaptedSource::read_config() const {
  return untied_ ? Config::parse(untied_config(), model_->config().source()) : model_->config();
}

std::optional<std::string> AdaptedSource::read_file(const std::string& name, std::size_t max_bytes) const {
  if (untied_ && name == kConfig) return untied_config();
  return model_->read_file(name, max_bytes);
}

std::string AdaptedSource::fingerprint(FingerprintScope scope) const {
  Sha256 hash;
  hash.field("mmbatch adapted model 1").field(model_->fingerprint(scope));
  if (untied_) hash.field("head of its own");
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
