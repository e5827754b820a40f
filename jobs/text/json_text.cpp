#include "jobs/text/json_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "jobs/text/json_node.h"

namespace mmbatch {

std::string_view shallow_json(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') ++i;
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (depth > kMaxJsonDepth) return {};
  }
  return text;
}

std::string json_string(std::string_view text) {
  const auto is_plain = [](unsigned char c) { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\'; };
  if (std::all_of(text.begin(), text.end(), is_plain)) {
    std::string out = "\"";
    return out.append(text) += '"';
  }
  using Json = nlohmann::json;
  return Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string json_array(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ',';
    out += json_string(text);
  }
  return out + "]";
}

std::vector<std::string> parse_json_array(std::string_view text) {
  std::vector<std::string> out;
  const ParsedJson parsed = parse_json(text);
  if (parsed.fault) return out;
  for (const NodePointer& element : parsed.node->list) {
    if (element->kind == Node::Kind::text) out.push_back(element->text);
  }
  return out;
}

}  // namespace mmbatch
