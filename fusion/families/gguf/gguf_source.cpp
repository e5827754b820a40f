#include "fusion/families/gguf/gguf_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/base/error.h"
#include "engine/base/text/visible.h"
#include "fusion/families/gguf/architecture.h"
#include "fusion/families/gguf/projectors/own_vision.h"
#include "fusion/families/gguf/projectors/projector_file.h"
#include "text/tokenizer/gguf/vocabulary_keys.h"

namespace mmbatch {
namespace {

using nlohmann::json;

/// Texts of files from outside need not be UTF-8.
std::string dump(const json& value) {
  return value.dump(1, ' ', false, json::error_handler_t::replace);
}

json describe_tokenizer(const gguf::Metadata& metadata, const gguf::VocabularyKeys& keys,
                        const std::string& image_token) {
  json config = json::object();
  const auto name = [&](const char* role, std::optional<std::size_t> id) {
    if (id) config[role] = std::string(keys.tokens[*id]);
  };
  name("bos_token", keys.bos);
  name("eos_token", keys.eos);
  name("unk_token", keys.unk);
  name("pad_token", keys.pad);
  if (!image_token.empty()) config["image_token"] = image_token;
  config["add_bos_token"] = keys.add_bos;
  config["add_eos_token"] = keys.add_eos;
  const std::string key = "tokenizer.chat_template";
  if (metadata.has(key)) config["chat_template"] = metadata.text(key, "");
  const std::string names = "tokenizer.chat_templates";
  const std::vector<std::string_view> others = metadata.texts(names);
  if (others.empty()) return config;
  auto all = json::array();
  if (metadata.has(key)) all.push_back({{"name", "default"}, {"template", metadata.text(key, "")}});
  std::set<std::string_view> seen;
  for (const std::string_view other : others) {
    // Each would be a copy of the template: of a file of one megabyte that is more than there is memory.
    if (!seen.insert(other).second)
      metadata.fail(names, fmt::format("names '{}' twice", visible_line(std::string(other.substr(0, 80)))));
    const std::string own = key + "." + std::string(other);
    if (metadata.has(own)) all.push_back({{"name", other}, {"template", metadata.text(own, "")}});
  }
  config["chat_template"] = all;
  return config;
}

/// A number that a draw is made with, and what it may be. 0 takes no part, as everywhere: llama.cpp too reads
/// "top_k" and "min_p" of 0 as off and a temperature of 0 as the likeliest token, which is taken here anyway
/// where no draw is asked for.
struct SamplingKey {
  const char *key, *name;
  double most;
};

constexpr SamplingKey kSamplingKeys[] = {{"temp", "temperature", 1e9},
                                         {"top_p", "top_p", 1.0},
                                         {"min_p", "min_p", 1.0},
                                         {"penalty_repeat", "repetition_penalty", 1e9}};

/// Ends of texts, and what a draw is made with where one is asked for: the file does not say whether it
/// should be. Numbers are those that were rounded to float32.
json describe_generation(const gguf::Metadata& metadata) {
  json config = json::object();
  const std::vector<std::int64_t> ends = gguf::end_tokens(metadata);
  if (!ends.empty()) config["eos_token_id"] = ends;
  for (const SamplingKey& sampling : kSamplingKeys) {
    const std::string stored = std::string("general.sampling.") + sampling.key;
    const double value = metadata.number(stored, 0.0);
    if (value < 0 || value > sampling.most)
      metadata.fail(stored,
                    fmt::format("expected a number from 0 to {:g}, found {:g}", sampling.most, value));
    if (value > 0) config[sampling.name] = json::parse(fmt::format("{:.6g}", value)).get<double>();
  }
  // A negative number is how llama.cpp's own options write "all tokens", and llama.cpp takes it from a file
  // too: 0 means the same there and here.
  const std::string top_k = "general.sampling.top_k";
  const std::vector<std::int64_t> likeliest = metadata.integers(top_k);
  if (metadata.is_list(top_k)) metadata.fail(top_k, "is a list, one value is expected");
  if (!likeliest.empty() && likeliest.front() > INT32_MAX)
    metadata.fail(top_k, fmt::format("expected an integer up to {}, found {}", INT32_MAX, likeliest.front()));
  if (!likeliest.empty()) config["top_k"] = std::max<std::int64_t>(likeliest.front(), 0);
  return config;
}

}  // namespace

GgufSource::GgufSource(const std::filesystem::path& model, const std::filesystem::path& projector,
                       OwnTower tower)
    : WeightSource(model), files_(open_gguf(model)) {
  if (!projector.empty()) projector_.emplace(projector);
  const gguf::Metadata& metadata = files_.front().metadata();
  const gguf::Architecture& architecture = gguf::find_architecture(metadata);
  gguf::Tensors stored;
  std::map<std::string, std::string> others;
  for (const GgufFile& file : files_) {
    for (const auto& [name, tensor] : file.tensors()) {
      if (!stored.emplace(name, tensor).second)
        throw ModelError(
            fmt::format("{}: tensor '{}' is stored in another file too", file.path().string(), name));
    }
    for (const auto& [name, type] : file.other_tensors()) {
      add_other(name, type);
      others.emplace(name, type);
    }
  }
  gguf::OwnVision vision = gguf::take_own_vision(stored, others);
  const gguf::VocabularyKeys keys(metadata);
  gguf::Multimodal all{.text = metadata,
                       .vocabulary = keys,
                       .config = gguf::describe_text(architecture, metadata, stored),
                       .tensors = gguf::text_tensors(architecture, metadata, stored)};
  if (!projector_ && !architecture.only_with.empty()) {
    metadata.fail(
        "general.architecture",
        fmt::format("'{}' is supported only with its mmproj file, of kind {}: give that one with --mmproj",
                    architecture.name, architecture.only_with));
  }
  if (projector_)
    gguf::add_projector(*projector_, all);
  else if (!vision.tensors.empty() && tower == OwnTower::used)
    gguf::add_own_vision(std::move(vision), all);
  if (!all.processor.empty()) small_["preprocessor_config.json"] = all.processor;
  if (!all.video_processor.empty()) small_["video_preprocessor_config.json"] = all.video_processor;
  if (projector_) {
    for (const auto& [name, type] : projector_->other_tensors()) add_other(name, type);
  }
  for (const TensorView& tensor : all.tensors) add(tensor, model);
  small_["config.json"] = all.config;
  small_["tokenizer_config.json"] = dump(describe_tokenizer(metadata, keys, all.image_token));
  const json generation = describe_generation(metadata);
  if (!generation.empty()) small_["generation_config.json"] = dump(generation);
}

std::optional<std::string> GgufSource::read_file(const std::string& name, std::size_t max_bytes) const {
  const auto found = small_.find(name);
  if (found == small_.end()) return {};
  if (found->second.size() > max_bytes)
    throw ModelError(fmt::format("{}: larger than {} MiB", source_of(name), max_bytes >> 20));
  return found->second;
}

std::vector<std::string> GgufSource::list_files(const std::string& folder) const {
  std::vector<std::string> names;
  if (!folder.empty()) return names;
  for (const auto& [name, content] : small_) names.push_back(name);
  return names;
}

Config GgufSource::read_config() const {
  return Config::parse(small_.at("config.json"), path().string());
}

std::string GgufSource::fingerprint(FingerprintScope scope) const {
  if (scope == FingerprintScope::all_bytes) {
    for (const auto& [name, tensor] : tensors()) check_finite(tensor);
  }
  std::vector<FingerprintFile> files;
  for (const GgufFile& file : files_) files.push_back({file.path(), file.header_bytes()});
  if (projector_) files.push_back({projector_->path(), projector_->header_bytes()});
  return files_fingerprint(files, scope);
}

std::vector<WeightFile> GgufSource::files() const {
  std::vector<WeightFile> files;
  const auto add_file = [&](const GgufFile& file) {
    files.push_back(
        {file.path().filename().string(), file.bytes(), file.tensors().size() + file.other_tensors().size()});
  };
  for (const GgufFile& file : files_) add_file(file);
  if (projector_) add_file(*projector_);
  return files;
}

}  // namespace mmbatch
