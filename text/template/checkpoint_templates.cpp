#include "text/template/checkpoint_templates.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxTemplateBytes = 1u << 20;
constexpr const char* kKey = "chat_template";
constexpr const char* kFolder = "additional_chat_templates";
constexpr const char* kExpected = "expected a template, or a list of {name, template}";

void add(std::vector<CheckpointTemplate>& templates, CheckpointTemplate one) {
  if (one.source.size() > kMaxTemplateBytes) {
    throw ModelError(
        fmt::format("{}: a chat template of more than {} MiB", one.file, kMaxTemplateBytes >> 20));
  }
  templates.push_back(std::move(one));
}

std::vector<CheckpointTemplate> of_json(const CheckpointFiles& files, const char* name) {
  std::vector<CheckpointTemplate> templates;
  const Config config = files.json_file(name);
  if (!config.has(kKey)) return templates;
  const std::string file = files.source_of(name);
  const Config value = config.child(kKey);
  if (value.is_text()) {
    add(templates, {"default", value.as_text(), file});
    return templates;
  }
  if (value.is_object()) {
    for (const auto& [key, source] : value.members()) {
      if (!source.is_text()) value.fail(key, "expected a template");
      add(templates, {key, source.as_text(), file});
    }
    return templates;
  }
  for (const Config& entry : config.list(kKey)) {
    if (!entry.is_object()) config.fail(kKey, kExpected);
    add(templates, {entry.text("name", "default"), entry.text("template", ""), file});
  }
  return templates;
}

std::vector<CheckpointTemplate> of_jinja(const CheckpointFiles& files) {
  std::vector<CheckpointTemplate> templates;
  constexpr std::string_view kEnding = ".jinja";
  const auto read = [&](const std::string& file, std::string name) {
    if (auto source = files.read_file(file, kMaxTemplateBytes))
      add(templates, {std::move(name), std::move(*source), files.source_of(file)});
  };
  read("chat_template.jinja", "default");
  for (const std::string& file : files.list_files(kFolder)) {
    if (!file.ends_with(kEnding)) continue;
    read(fmt::format("{}/{}", kFolder, file), file.substr(0, file.size() - kEnding.size()));
  }
  return templates;
}

/// A special token as files write it; empty: not set.
std::string content_of(const Config& token) {
  return token.is_text() ? token.as_text() : token.is_object() ? token.text("content", "") : "";
}

void add_tokens(const Config& config, Json& tokens) {
  for (const auto& [key, value] : config.members()) {
    if (!key.ends_with("_token") || tokens.contains(key)) continue;
    const std::string content = content_of(value);
    if (!content.empty()) tokens[key] = content;
  }
  const Config extra = config.child("extra_special_tokens");
  if (!extra.is_object()) return;
  for (const auto& [key, value] : extra.members()) {
    const std::string content = content_of(value);
    if (!content.empty() && !tokens.contains(key)) tokens[key] = content;
  }
}

}  // namespace

std::vector<CheckpointTemplate> read_checkpoint_templates(const CheckpointFiles& files) {
  for (const char* name : {"processor_config.json", "chat_template.json"}) {
    std::vector<CheckpointTemplate> templates = of_json(files, name);
    if (!templates.empty()) return templates;
  }
  std::vector<CheckpointTemplate> templates = of_jinja(files);
  return templates.empty() ? of_json(files, "tokenizer_config.json") : templates;
}

std::string read_template_tokens(const CheckpointFiles& files, const Tokenizer& tokenizer) {
  Json tokens = Json::object();
  const Config config = files.json_file("tokenizer_config.json");
  add_tokens(config, tokens);
  if (!config.has("added_tokens_decoder")) add_tokens(files.json_file("special_tokens_map.json"), tokens);
  const auto add_own = [&](const char* name, std::optional<std::int32_t> id) {
    if (id && !tokens.contains(name) && !config.is_null(name)) tokens[name] = tokenizer.piece(*id);
  };
  add_own("bos_token", tokenizer.bos());
  add_own("eos_token", tokenizer.eos());
  add_own("unk_token", tokenizer.unk());
  add_own("pad_token", tokenizer.pad());
  return tokens.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace mmbatch
