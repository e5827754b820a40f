#include "text/template/turn_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"
#include "text/template/built_in_formats.h"
#include "text/template/pattern_template.h"

namespace mmbatch {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 5> kRoles = {"system", "user", "assistant", "developer", "tool"};

bool is_system(Role role) {
  return role == Role::system || role == Role::developer;
}

/// What built-in formats and patterns have a place for.
void check_order(std::span<const Turn> turns) {
  Role expected = Role::user;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    if (i == 0 && is_system(turns[i].role)) continue;
    if (turns[i].role != expected) {
      throw ItemError(ErrorCode::invalid_item,
                      fmt::format("message {}: expected one of the {}; roles go user, assistant, user, … "
                                  "after at most one system message",
                                  i + 1, to_string(expected)));
    }
    expected = expected == Role::user ? Role::assistant : Role::user;
  }
  if (turns.empty() || turns.back().role != Role::user) {
    throw ItemError(ErrorCode::invalid_item, "the last message must be the user's");
  }
}

/// Refuses what only chat templates have a place for.
void check_bare(std::span<const Turn> turns, const RenderOptions& options) {
  const char* extra = nullptr;
  if (options.variables != "{}") extra = "chat_template_kwargs";
  if (!options.tools.empty()) extra = "tools";
  for (const Turn& turn : turns) {
    if (turn.other.find("\"tool_calls\"") != std::string::npos) extra = "tool_calls";
  }
  if (extra == nullptr) return;
  throw ItemError(ErrorCode::invalid_value,
                  fmt::format("this turn format has no place for {}: only chat templates do", extra));
}

Json text_part(std::string_view text) {
  return {{"type", "text"}, {"text", replace_invalid_utf8(text)}};
}

/// A text with a line for each of so many images before it.
std::string with_marks(const std::string& mark, std::size_t images, std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < images; ++i) out += mark + "\n";
  return out.append(text);
}

/// The text of a probe that a template wrote; empty when it raised an error or left the text out.
std::string probe(const ChatTemplate& chat, const Json& content) {
  const Json messages = Json::array({{{"role", "user"}, {"content", content}}});
  try {
    return chat.render({.messages = messages.dump(),
                        .variables = R"({"add_generation_prompt": true})",
                        .special_tokens = R"({"image_token": "<image>"})"});
  } catch (const ItemError&) {
    return {};
  }
}

}  // namespace

std::string_view to_string(Role role) {
  return kRoles[static_cast<std::size_t>(role)];
}

std::optional<Role> find_role(std::string_view name) {
  const auto found = std::find(kRoles.begin(), kRoles.end(), name);
  if (found == kRoles.end()) return std::nullopt;
  return static_cast<Role>(found - kRoles.begin());
}

std::vector<std::string> TurnFormat::names() {
  std::vector<std::string> names;
  for (const BuiltInFormat& format : built_in_formats()) names.emplace_back(format.name);
  return names;
}

std::string TurnFormat::names_text() {
  std::string text;
  for (const BuiltInFormat& format : built_in_formats()) {
    if (!text.empty()) text += ", ";
    text += format.name;
  }
  return text;
}

std::string video_parts(std::string_view text) {
  return Json::array({{{"type", "video"}}, text_part(replace_invalid_utf8(text))}).dump();
}

std::string video_in_parts(const std::string& parts, std::size_t images) {
  Json out = Json::array();
  std::size_t left = images;
  for (const Json& part : Json::parse(parts)) {
    if (left == 0 || part.at("type") != "image")
      out.push_back(part);
    else if (left-- == images)
      out.push_back({{"type", "video"}});
  }
  return out.dump();
}

TurnFormat::TurnFormat(Origin origin, std::string name, ChatTemplate chat)
    : origin_(origin),
      name_(std::move(name)),
      question_key_(name_),
      dialogue_key_(name_),
      chat_(std::move(chat)) {}

TurnFormat TurnFormat::named(std::string_view name) {
  for (const BuiltInFormat& format : built_in_formats()) {
    if (format.name != name) continue;
    const std::string source = kSharedTemplate + std::string(format.source);
    return {Origin::built_in, std::string(name), ChatTemplate(source, fmt::format("turn format '{}'", name))};
  }
  throw UsageError(fmt::format("no turn format '{}'; known: {}", name, names_text()));
}

TurnFormat TurnFormat::from_pattern(std::string_view pattern) {
  try {
    return {Origin::pattern, "custom", ChatTemplate(template_of_pattern(pattern), "turn_format")};
  } catch (const ModelError& e) {
    throw UsageError(e.what());  // such as a pattern that is not UTF-8
  }
}

TurnFormat TurnFormat::from_template(const CheckpointTemplate& chat, const CheckpointTemplate* tool_use) {
  TurnFormat format(Origin::chat_template, "chat_template", ChatTemplate(chat.source, chat.file));
  format.source_ = chat.source;
  if (tool_use != nullptr) {
    format.tool_use_.emplace(tool_use->source, tool_use->file);
    format.source_ += "\n" + tool_use->source;
  }
  format.try_out();
  format.find_key();
  return format;
}

/// A template shows by what it writes which content it takes: one for texts prints a list of parts as Python
/// would, one for parts leaves texts out.
void TurnFormat::try_out() {
  constexpr std::string_view kText = "mmbatch";
  const auto has_text = [&](const std::string& text) { return text.find(kText) != std::string::npos; };
  const Json part = text_part(kText);
  takes_text_ = has_text(probe(chat_, kText));
  const std::string parts = probe(chat_, Json::array({part}));
  takes_parts_ = has_text(parts) && parts.find("'type'") == std::string::npos &&
                 parts.find("\"type\"") == std::string::npos;
  const std::string image = takes_parts_ ? probe(chat_, Json::array({{{"type", "image"}}, part})) : "";
  takes_images_ = has_text(image) && image != parts;
  // A template that only takes what the probe is not gets texts.
  if (!takes_parts_) takes_text_ = true;
}

void TurnFormat::find_key() {
  const std::vector<Turn> question = {{.content = "q"}};
  const std::vector<Turn> image = {{.content = "q", .images = 1}};
  const std::vector<Turn> system = {{.role = Role::system, .content = "s"}, {.content = "q"}};
  const std::vector<Turn> dialogue = {
      {.content = "q"}, {.role = Role::assistant, .content = "a"}, {.content = "r"}};
  const auto written = [](const TurnFormat& format,
                          const std::vector<Turn>& turns) -> std::optional<std::string> {
    try {
      const std::string text = format.render(turns, {});
      return text.starts_with("<s>") ? text.substr(3) : text;
    } catch (const ItemError&) {
      return std::nullopt;
    }
  };
  for (const std::string& name : names()) {
    const TurnFormat built_in = named(name);
    const auto same = [&](const std::vector<Turn>& turns) {
      const auto own = written(*this, turns);
      return !own || own == written(built_in, turns);
    };
    if (!written(*this, question) || !same(question) || !same(image) || !same(system)) continue;
    question_key_ = name;
    if (same(dialogue)) dialogue_key_ = name;
    return;
  }
}

std::string TurnFormat::render(std::span<const Turn> turns, const RenderOptions& options) const {
  if (!is_template()) {
    check_order(turns);
    check_bare(turns, options);
  }
  Json messages = Json::array();
  bool first_user = true;
  for (const Turn& turn : turns) {
    Json message = {{"role", to_string(turn.role)}};
    const std::string text = replace_invalid_utf8(turn.content);
    const bool own = !options.image_mark.empty() && text.find(options.image_mark) != std::string::npos;
    const std::size_t images = own ? 0 : turn.images;
    // Built-in formats know where the images of the first question stand; those of later ones precede them.
    const bool placed = is_template() || first_user;
    const bool fits = takes_parts_ && (turn.images == 0 || (takes_images_ && !own));
    if (!turn.parts.empty() && is_template() && fits) {
      message["content"] = Json::parse(turn.parts);
    } else if (images == 0 && takes_text_) {
      message["content"] = text;
    } else if (images == 0) {
      message["content"] = Json::array({text_part(text)});
    } else if (takes_images_ && placed) {
      Json parts = Json::array();
      for (std::size_t i = 0; i < images; ++i) parts.push_back({{"type", "image"}});
      parts.push_back(text_part(text));
      message["content"] = std::move(parts);
    } else {
      message["content"] = with_marks(options.image_mark, images, text);
    }
    if (!turn.other.empty()) message.update(Json::parse(turn.other));
    if (turn.role == Role::user) first_user = false;
    messages.push_back(std::move(message));
  }
  Json tokens = Json::parse(options.special_tokens);
  if (!is_template()) {
    tokens["image_token"] = options.image_mark;
    if (!tokens.contains("eos_token")) tokens["eos_token"] = "</s>";
  }
  Json variables = Json::parse(options.variables);
  if (!variables.contains("add_generation_prompt") && !variables.contains("continue_final_message"))
    variables["add_generation_prompt"] = true;
  const bool has_tools = !options.tools.empty();
  if (has_tools) variables["tools"] = Json::parse(options.tools);
  const ChatTemplate& chat = has_tools && tool_use_ ? *tool_use_ : chat_;
  return chat.render({.messages = messages.dump(),
                      .variables = variables.dump(),
                      .special_tokens = tokens.dump(),
                      .now = options.now});
}

}  // namespace mmbatch
