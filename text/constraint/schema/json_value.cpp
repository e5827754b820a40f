#include "text/constraint/schema/json_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "text/constraint/constraint_error.h"
#include "text/constraint/schema/decimal.h"

namespace mmbatch {
namespace {

[[noreturn]] void fail(const std::string& reason) {
  throw ConstraintError(ConstraintProblem{"", "", reason});
}

/// Collects the values that the parser reports.
class Collector {
 public:
  explicit Collector(const JsonLimits& limits) : limits_(limits) {}

  JsonValue take() { return std::move(root_); }

  bool null() { return put({}); }
  bool boolean(bool value) {
    JsonValue v;
    v.kind = JsonValue::Kind::boolean;
    v.truth = value;
    return put(std::move(v));
  }
  bool number_integer(std::int64_t value) { return put_number(std::to_string(value)); }
  bool number_unsigned(std::uint64_t value) { return put_number(std::to_string(value)); }
  bool number_float(double, const std::string& text) { return put_number(text); }
  bool string(std::string& value) {
    JsonValue v;
    v.kind = JsonValue::Kind::string;
    v.text = std::move(value);
    return put(std::move(v));
  }
  bool binary(nlohmann::json::binary_t&) { return false; }
  bool start_object(std::size_t) { return open(JsonValue::Kind::object); }
  bool start_array(std::size_t) { return open(JsonValue::Kind::array); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    if (!keys_.back().insert(name).second) fail(fmt::format("duplicate key '{}'", name));
    path_.back()->members.emplace_back(std::move(name), JsonValue{});
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) {
    fail(fmt::format("not JSON: unexpected byte at {}", position));
  }

 private:
  bool put_number(std::string text) {
    JsonValue v;
    v.kind = JsonValue::Kind::number;
    v.text = std::move(text);
    return put(std::move(v));
  }

  JsonValue* place(JsonValue value) {
    if (path_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    JsonValue& parent = *path_.back();
    if (parent.kind == JsonValue::Kind::array) return &parent.items.emplace_back(std::move(value));
    parent.members.back().second = std::move(value);
    return &parent.members.back().second;
  }

  bool put(JsonValue value) {
    place(std::move(value));
    return true;
  }
  bool open(JsonValue::Kind kind) {
    if (path_.size() >= limits_.max_depth)
      fail(fmt::format("values nested more than {} deep", limits_.max_depth));
    JsonValue v;
    v.kind = kind;
    path_.push_back(place(std::move(v)));
    keys_.emplace_back();
    return true;
  }
  bool close() {
    path_.pop_back();
    keys_.pop_back();
    return true;
  }

  JsonLimits limits_;
  JsonValue root_;
  std::vector<JsonValue*> path_;             // stays valid: a container grows only while it is the last one
  std::vector<std::set<std::string>> keys_;  // of each container of the path
};

}  // namespace

JsonValue parse_json_value(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes)
    fail(fmt::format("{} bytes; at most {} are read", text.size(), limits.max_bytes));
  Collector collector(limits);
  nlohmann::json::sax_parse(text, &collector);
  return collector.take();
}

bool same_json(const JsonValue& a, const JsonValue& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case JsonValue::Kind::null:
      return true;
    case JsonValue::Kind::boolean:
      return a.truth == b.truth;
    case JsonValue::Kind::number:
      return Decimal::parse(a.text) == Decimal::parse(b.text);
    case JsonValue::Kind::string:
      return a.text == b.text;
    case JsonValue::Kind::array:
      return std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), same_json);
    case JsonValue::Kind::object:
      return a.members.size() == b.members.size() &&
             std::all_of(a.members.begin(), a.members.end(), [&](const auto& member) {
               const JsonValue* other = b.find(member.first);
               return other != nullptr && same_json(member.second, *other);
             });
  }
  return false;
}

}  // namespace mmbatch
