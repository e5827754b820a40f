#include "jobs/text/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "engine/base/text/lower_case.h"
#include "engine/base/text/utf8.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

using Json = nlohmann::json;

/// Follows the events of nlohmann's parser, which itself needs no stack for nesting, and builds nothing.
class Checker : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return open(); }
  bool start_array(std::size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& key) override {
    if (keys_[depth_ - 1].insert(key).second) return true;
    return fail(fmt::format("key '{}' stands twice in one object", key.substr(0, 80)));
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 9: syntax error …": the place is said
    // better.
    std::string what = e.what();
    const std::size_t place = what.find("column ");
    const std::size_t colon = place == std::string::npos ? place : what.find(": ", place);
    if (colon != std::string::npos) what = what.substr(colon + 2);
    fault = JsonFault{position > 0 ? position - 1 : 0, "invalid JSON: " + what.substr(0, 200)};
    return false;
  }

  std::optional<JsonFault> fault;

 private:
  bool open() {
    if (depth_ == kMaxJsonDepth) return fail(fmt::format("JSON nested deeper than {} levels", kMaxJsonDepth));
    if (keys_.size() == depth_) keys_.emplace_back();
    keys_[depth_++].clear();
    return true;
  }
  bool close() {
    --depth_;
    return true;
  }
  bool fail(std::string problem) {
    fault = JsonFault{0, std::move(problem)};
    return false;
  }

  std::size_t depth_ = 0;
  std::vector<std::unordered_set<std::string>> keys_;  // of the open objects
};

/// Behind the string that begins at `at`, which is a quote.
std::size_t skip_string(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return std::min(at + 1, text.size());
}

}  // namespace

std::optional<JsonFault> check_json(std::string_view text) {
  if (const auto bad = invalid_utf8_at(text)) return JsonFault{*bad, "invalid UTF-8"};
  Checker checker;
  try {
    const bool ok = Json::sax_parse(text.begin(), text.end(), &checker);
    if (!ok && !checker.fault) checker.fault = JsonFault{0, "invalid JSON"};
  } catch (const Json::exception& e) {
    checker.fault = JsonFault{0, std::string("invalid JSON: ") + e.what()};
  }
  return checker.fault;
}

std::optional<std::size_t> find_key(std::string_view object, std::string_view key) {
  const std::string quoted = json_string(key);
  int depth = 0;
  for (std::size_t at = 0; at < object.size();) {
    const char c = object[at];
    if (c == '"') {
      const std::size_t end = skip_string(object, at);
      const std::size_t next = object.find_first_not_of(" \t\r\n", end);
      const bool is_key = depth == 1 && next != std::string_view::npos && object[next] == ':';
      if (is_key && object.substr(at, end - at) == quoted) return at;
      at = end;
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    ++at;
  }
  return std::nullopt;
}

std::string json_string(std::string_view text) {
  const auto is_plain = [](unsigned char c) { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\'; };
  if (std::all_of(text.begin(), text.end(), is_plain)) {
    std::string out = "\"";
    return out.append(text) += '"';
  }
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
  if (text.empty() || check_json(text)) return out;
  const Json json = Json::parse(text);
  if (!json.is_array()) return out;
  for (const Json& element : json) {
    if (element.is_string()) out.push_back(element.get<std::string>());
  }
  return out;
}

}  // namespace mmbatch
