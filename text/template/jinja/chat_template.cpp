#include "text/template/jinja/chat_template.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"
#include "text/template/jinja/run/filters.h"
#include "text/template/jinja/run/globals.h"
#include "text/template/jinja/syntax/parser.h"

namespace mmbatch {
namespace {

using Json = nlohmann::ordered_json;
using jinja::Dict;
using jinja::List;
using jinja::Value;

constexpr std::size_t kBudget = 256u << 20;
constexpr int kMaxDepth = 128;
/// Marks the end of the last message, which then is to go on.
constexpr std::string_view kContinueTag = "CONTINUE_FINAL_MESSAGE_TAG ";

Value to_value(const Json& json, int depth = 0) {
  if (depth > kMaxDepth)
    throw jinja::RenderError("a value nested too deeply", jinja::RenderError::Kind::limit);
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value(json.get<bool>());
    case Json::value_t::number_integer:
      return Value(static_cast<jinja::Int>(json.get<std::int64_t>()));
    case Json::value_t::number_unsigned:
      return Value(static_cast<jinja::Int>(json.get<std::uint64_t>()));
    case Json::value_t::number_float:
      return Value(json.get<double>());
    case Json::value_t::string:
      return Value(json.get<std::string>());
    case Json::value_t::array: {
      List items;
      for (const Json& item : json) items.push_back(to_value(item, depth + 1));
      return Value::list(std::move(items));
    }
    case Json::value_t::object: {
      Dict dict;
      for (const auto& [key, item] : json.items()) dict.set(Value(key), to_value(item, depth + 1));
      return Value::dict(std::move(dict));
    }
    default:
      return Value();
  }
}

/// Keys that are null go; reasoning has the names of all families.
Json prepared(const Json& message) {
  if (!message.is_object()) return message;
  Json kept = Json::object();
  for (const auto& [key, value] : message.items()) {
    if (!value.is_null()) kept[key] = value;
  }
  for (const char* key : {"reasoning_content", "thinking", "reasoning"}) {
    if (!kept.contains(key)) continue;
    const Json reasoning = kept[key];
    Json made = Json::object();
    if (!kept.contains("thinking")) made["thinking"] = reasoning;
    for (const auto& [name, value] : kept.items()) made[name] = value;
    made["reasoning_content"] = reasoning;
    return made;
  }
  return kept;
}

void mark_last_message(Json& messages) {
  if (messages.empty() || !messages.back().is_object() || !messages.back().contains("content")) {
    throw jinja::RenderError("continue_final_message is set, but there is no message to continue");
  }
  Json& content = messages.back()["content"];
  if (content.is_string()) {
    content = content.get<std::string>() + std::string(kContinueTag);
    return;
  }
  for (std::size_t i = content.is_array() ? content.size() : 0; i > 0; --i) {
    Json& part = content[i - 1];
    if (!part.is_object() || !part.contains("text") || !part["text"].is_string()) continue;
    part["text"] = part["text"].get<std::string>() + std::string(kContinueTag);
    return;
  }
  throw jinja::RenderError("continue_final_message is set, but the last message has no text to continue");
}

/// The text up to the mark; its white space goes where the template has trimmed the mark's own.
std::string before_mark(const std::string& text) {
  const std::string_view bare = kContinueTag.substr(0, kContinueTag.size() - 1);
  const std::size_t at = text.rfind(bare);
  if (at == std::string::npos) {
    throw jinja::RenderError(
        "continue_final_message is set, but the last message does not appear in the rendered text");
  }
  const std::string before = text.substr(0, at);
  return text.compare(at, kContinueTag.size(), kContinueTag) == 0 ? before : std::string(strip_right(before));
}

}  // namespace

struct ChatTemplate::Parsed {
  std::string name;
  jinja::Body body;
};

ChatTemplate::ChatTemplate(std::string_view source, std::string name) {
  const jinja::KnownNames known{
      .is_filter = [](std::string_view filter) { return jinja::find_filter(filter) != nullptr; },
      .is_test = [](std::string_view test) { return jinja::find_test(test) != nullptr; }};
  auto parsed = std::make_shared<Parsed>();
  try {
    parsed->body = jinja::parse_template(source, known);
  } catch (const jinja::SyntaxError& e) {
    throw ModelError(name + ": " + e.what());
  }
  parsed->name = std::move(name);
  parsed_ = std::move(parsed);
}

std::string ChatTemplate::render(const ChatInput& input) const {
  const jinja::Budget budget(kBudget);
  try {
    const Json variables = Json::parse(input.variables);
    const auto flag = [&](const char* key) { return variables.contains(key) && variables[key] == true; };
    const bool goes_on = flag("continue_final_message");
    if (goes_on && flag("add_generation_prompt")) {
      throw jinja::RenderError("continue_final_message and add_generation_prompt cannot both be set");
    }
    Json messages = Json::array();
    const Json given = Json::parse(input.messages);
    if (!given.is_array()) throw jinja::RenderError("messages: expected a list");
    for (const Json& message : given) messages.push_back(prepared(message));
    if (goes_on) mark_last_message(messages);

    jinja::Interpreter interpreter;
    jinja::set_globals(interpreter, input.now);
    interpreter.set("tools", Value());
    interpreter.set("documents", Value());
    interpreter.set("add_generation_prompt", Value(false));
    const Json special_tokens = Json::parse(input.special_tokens);
    for (const auto& [key, value] : special_tokens.items()) interpreter.set(key, to_value(value));
    for (const auto& [key, value] : variables.items()) {
      if (key != "continue_final_message") interpreter.set(key, to_value(value));
    }
    interpreter.set("messages", to_value(messages));
    const std::string text = interpreter.render(parsed_->body);
    return goes_on ? before_mark(text) : text;
  } catch (const jinja::RenderError& e) {
    if (e.kind() == jinja::RenderError::Kind::raised_by_template)
      throw ItemError(ErrorCode::invalid_value, e.what());
    throw ItemError(ErrorCode::invalid_value, parsed_->name + ": " + e.what());
  } catch (const Json::exception& e) {
    throw ItemError(ErrorCode::invalid_value, std::string("the template's input is not JSON: ") + e.what());
  }
}

}  // namespace mmbatch
