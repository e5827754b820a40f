#include <fmt/format.h>

#include <algorithm>

#include "engine/base/config.h"
#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "text/template/turn_format.h"

namespace mmbatch {
namespace {

constexpr std::size_t kMaxTemplateBytes = 1u << 20;

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool contains_any(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) { return contains(text, part); });
}

/// Marks of formats that are written differently although they share words with known ones.
bool has_foreign_mark(std::string_view text) {
  return contains_any(text, {"<|im_start|>", "<|start_header_id|>", "<|eot_id|>", "<|end|>", "<|channel",
                             "[gMASK]", "[AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[SYSTEM_PROMPT]", "###"});
}

/// The template's text from `mark` to the next one of its kind.
std::string_view section_of(std::string_view text, std::string_view mark) {
  const std::size_t begin = text.find(mark);
  if (begin == std::string_view::npos) return {};
  const std::string_view rest = text.substr(begin + mark.size());
  return rest.substr(0, rest.find("<|"));
}

/// Whether `mark` is somewhere right after one of `before`, but for white space.
bool stands_behind(std::string_view text, std::string_view mark,
                   std::initializer_list<std::string_view> before) {
  for (std::size_t at = text.find(mark); at != std::string_view::npos; at = text.find(mark, at + 1)) {
    std::string_view head = text.substr(0, at);
    while (head.ends_with(' ') || head.ends_with('\'') || head.ends_with('"')) head.remove_suffix(1);
    if (std::any_of(before.begin(), before.end(), [&](auto end) { return head.ends_with(end); })) return true;
  }
  return false;
}

std::string_view user_assistant_name(std::string_view text) {
  // Other publishers put newlines where this format has spaces.
  if (contains_any(text, {"\\nASSISTANT", "\\nUSER", "\nASSISTANT", "\nUSER", "ASSISTANT:\\n", "USER:\\n"}))
    return {};
  if (contains(text, "A chat between a curious human")) return "user_assistant_curious_human";
  if (contains(text, "A chat between a curious user")) return "user_assistant_curious_user";
  return "user_assistant";
}

std::string_view inst_name(std::string_view text) {
  // A later version of this format has no space before the closing mark.
  if (!contains(text, "[INST] ") || !contains(text, " [/INST]")) return {};
  if (!contains(text, "<<SYS>>")) return "inst";
  // Written by itself the system text comes before the turn; put into a variable it is part of the question.
  const bool by_itself =
      stands_behind(text, "<<SYS>>", {"{{", "{{-"}) && !stands_behind(text, "<<SYS>>", {"="});
  return by_itself ? "sys_inst" : "inst_sys";
}

std::string_view format_name(std::string_view text) {
  if (has_foreign_mark(text)) return {};
  if (contains(text, "<start_of_turn>") && contains(text, "<end_of_turn>")) return "start_of_turn";
  if (contains(text, "[/INST]")) return inst_name(text);
  if (contains(text, "<|assistant|>") && contains_any(section_of(text, "<|user|>"), {"eos_token", "</s>"})) {
    return "pipe_roles";
  }
  const bool names_user = contains(text, "USER: ") || (contains(text, "upper") && contains(text, "': '"));
  if (names_user && contains(text, "ASSISTANT:")) return user_assistant_name(text);
  return {};
}

/// The template of a JSON file: a string, or the one called "default" of a list, or the first.
std::optional<std::string> template_of(const Config& config) {
  constexpr const char* kKey = "chat_template";
  if (!config.has(kKey)) return std::nullopt;
  if (config.child(kKey).is_text()) return config.text(kKey, "");
  std::optional<std::string> chosen;
  for (const Config& entry : config.list(kKey)) {
    if (!entry.is_object()) config.fail(kKey, "expected a string or a list of {name, template}");
    const bool is_default = entry.text("name", "") == "default";
    if (!chosen || is_default) chosen = entry.text("template", "");
    if (is_default) break;
  }
  return chosen;
}

std::optional<std::string> read_text_if_present(const std::filesystem::path& file) {
  std::error_code failed;
  if (!std::filesystem::exists(file, failed)) return std::nullopt;
  const MappedFile mapped(file);
  if (mapped.bytes().size() > kMaxTemplateBytes) {
    throw ModelError(fmt::format("{}: larger than {} MiB", file.string(), kMaxTemplateBytes >> 20));
  }
  return std::string(reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size());
}

}  // namespace

std::optional<TurnFormat> TurnFormat::recognise(std::string_view chat_template) {
  const std::string_view name = format_name(chat_template);
  if (name.empty()) return std::nullopt;
  return named(name);
}

FoundTurnFormat TurnFormat::find_for(const std::filesystem::path& model_dir, std::string_view default_name) {
  std::filesystem::path file = model_dir / "chat_template.jinja";
  std::optional<std::string> text = read_text_if_present(file);
  for (const char* name : {"chat_template.json", "tokenizer_config.json"}) {
    if (text) break;
    file = model_dir / name;
    text = template_of(Config::read_if_present(file));
  }
  if (!text) return {named(default_name), TurnFormatSource::by_default, ""};
  if (std::optional<TurnFormat> format = recognise(*text)) {
    return {std::move(*format), TurnFormatSource::chat_template, ""};
  }
  return {named(default_name), TurnFormatSource::unrecognised,
          fmt::format(
              "{}: its chat template is none of the known ones ({}); set turn_format in the manifest, a "
              "text with {{question}}, {{image}} and {{system}}, such as \"USER: {{image}}\\n{{question}} "
              "ASSISTANT:\"",
              file.string(), names_text())};
}

}  // namespace mmbatch
