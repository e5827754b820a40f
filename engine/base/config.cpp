#include "engine/base/config.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/files/lfs_pointer.h"

namespace mmbatch {
namespace {

using OrderedJson = nlohmann::ordered_json;

const OrderedJson& as_json(const void* json) {
  return *static_cast<const OrderedJson*>(json);
}

/// nlohmann's parser takes any nesting but its other functions recurse, so depth is bounded while parsing.
OrderedJson parse_bounded(std::string_view text, const std::string& source) {
  bool too_deep = false;
  const auto bound = [&](int depth, OrderedJson::parse_event_t event, OrderedJson&) {
    const bool opens =
        event == OrderedJson::parse_event_t::object_start || event == OrderedJson::parse_event_t::array_start;
    if (opens && depth >= Config::kMaxDepth) too_deep = true;
    return !too_deep;
  };
  try {
    OrderedJson json = OrderedJson::parse(text.begin(), text.end(), bound);
    if (too_deep) {
      throw ModelError(fmt::format("{}: JSON nested deeper than {} levels", source, Config::kMaxDepth));
    }
    return json;
  } catch (const OrderedJson::exception& e) {
    throw ModelError(fmt::format("{}: not valid JSON: {}", source, e.what()));
  }
}

/// The place of a member in its file. An empty key is a key too, and a long one need not be told whole.
std::string step(const std::string& path, const std::string& key) {
  constexpr std::size_t kMostShown = 80;
  const std::string shown = key.empty() ? R"("")" : key.substr(0, kMostShown);
  return path.empty() ? shown : path + "." + shown;
}

}  // namespace

struct Config::Node {
  OrderedJson json;
};

Config::Config(std::string source) : source_(std::move(source)) {
  root_ = std::make_shared<const Node>(Node{OrderedJson::object()});
  json_ = &root_->json;
}

Config::Config(std::shared_ptr<const Node> root, const void* json, std::string source, std::string path)
    : root_(std::move(root)), json_(json), source_(std::move(source)), path_(std::move(path)) {}

Config Config::parse(std::string_view json, const std::string& source) {
  auto root = std::make_shared<const Node>(Node{parse_bounded(json, source)});
  const void* top = &root->json;
  return Config(std::move(root), top, source, "");
}

Config Config::read(const std::filesystem::path& file) {
  std::error_code failed;
  if (!std::filesystem::is_regular_file(file, failed)) {
    throw ModelError(fmt::format("{}: no such file", file.string()));
  }
  const auto size = std::filesystem::file_size(file, failed);
  if (failed || size > kMaxFileBytes) {
    throw ModelError(fmt::format("{}: larger than {} MiB", file.string(), kMaxFileBytes >> 20));
  }
  std::ifstream stream(file, std::ios::binary);
  std::string text(size, '\0');
  if (!stream.read(text.data(), static_cast<std::streamsize>(size))) {
    throw ModelError(fmt::format("{}: cannot be read", file.string()));
  }
  if (is_lfs_pointer(text)) throw ModelError(fmt::format("{}: {}", file.string(), kLfsPointerFault));
  Config config = parse(text, file.string());
  if (!config.is_object()) throw ModelError(fmt::format("{}: expected a JSON object", file.string()));
  return config;
}

Config Config::read_if_present(const std::filesystem::path& file) {
  std::error_code failed;
  if (!std::filesystem::exists(file, failed)) return Config(file.string());
  return read(file);
}

const void* Config::find(const std::string& key) const {
  const OrderedJson& json = as_json(json_);
  if (!json.is_object()) return nullptr;
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

bool Config::has(const std::string& key) const {
  return find(key) != nullptr;
}

bool Config::is_null(const std::string& key) const {
  const OrderedJson& json = as_json(json_);
  if (!json.is_object()) return false;
  const auto found = json.find(key);
  return found != json.end() && found->is_null();
}

std::string Config::first_of(std::initializer_list<const char*> keys) const {
  for (const char* key : keys) {
    if (has(key)) return key;
  }
  return {};
}

std::string Config::where(const std::string& key) const {
  const std::string full = key.empty() ? path_ : step(path_, key);
  return full.empty() ? source_ : fmt::format("{}: key '{}'", source_, full);
}

void Config::fail(const std::string& key, const std::string& problem) const {
  throw ModelError(where(key) + ": " + problem);
}

std::int64_t Config::integer(const std::string& key, std::int64_t otherwise, Range range) const {
  const void* found = find(key);
  if (found == nullptr) return otherwise;
  const OrderedJson& value = as_json(found);
  const bool whole = value.is_number_integer() &&
                     (!value.is_number_unsigned() || value.get<std::uint64_t>() <= std::uint64_t{INT64_MAX});
  if (!whole || value.get<std::int64_t>() < range.min || value.get<std::int64_t>() > range.max) {
    fail(key, fmt::format("expected an integer from {} to {}, found {}", range.min, range.max,
                          child(key).dump().substr(0, 80)));
  }
  return value.get<std::int64_t>();
}

std::int64_t Config::integer(const std::string& key, std::int64_t otherwise) const {
  return integer(key, otherwise, Range{});
}

double Config::number(const std::string& key, double otherwise) const {
  const void* found = find(key);
  if (found == nullptr) return otherwise;
  const OrderedJson& value = as_json(found);
  if (!value.is_number() || !std::isfinite(value.get<double>())) fail(key, "expected a finite number");
  return value.get<double>();
}

bool Config::flag(const std::string& key, bool otherwise) const {
  const void* found = find(key);
  if (found == nullptr) return otherwise;
  if (!as_json(found).is_boolean()) fail(key, "expected true or false");
  return as_json(found).get<bool>();
}

std::string Config::text(const std::string& key, const std::string& otherwise) const {
  const void* found = find(key);
  if (found == nullptr) return otherwise;
  if (!as_json(found).is_string()) fail(key, "expected a string");
  return as_json(found).get<std::string>();
}

std::vector<std::int64_t> Config::integers(const std::string& key) const {
  const void* found = find(key);
  if (found == nullptr) return {};
  const OrderedJson& value = as_json(found);
  if (value.is_number_integer()) return {integer(key, 0, {INT64_MIN, INT64_MAX})};
  std::vector<std::int64_t> out;
  if (!value.is_array()) fail(key, "expected an integer or a list of integers");
  for (const OrderedJson& element : value) {
    if (!element.is_number_integer()) fail(key, "expected an integer or a list of integers");
    out.push_back(element.get<std::int64_t>());
  }
  return out;
}

std::vector<double> Config::numbers(const std::string& key) const {
  const void* found = find(key);
  if (found == nullptr) return {};
  const OrderedJson& value = as_json(found);
  std::vector<double> out;
  if (!value.is_array()) fail(key, "expected a list of numbers");
  for (const OrderedJson& element : value) {
    if (!element.is_number() || !std::isfinite(element.get<double>()))
      fail(key, "expected a list of numbers");
    out.push_back(element.get<double>());
  }
  return out;
}

std::vector<std::string> Config::texts(const std::string& key) const {
  std::vector<std::string> out;
  for (const Config& element : list(key)) {
    if (!element.is_text()) fail(key, "expected a list of strings");
    out.push_back(element.as_text());
  }
  return out;
}

Config Config::child(const std::string& key) const {
  const void* found = find(key);
  const std::string path = step(path_, key);
  if (found == nullptr) {
    Config empty(source_);
    empty.path_ = path;
    return empty;
  }
  return Config(root_, found, source_, path);
}

Config Config::object(const std::string& key) const {
  Config node = child(key);
  if (!node.is_object()) fail(key, "expected an object");
  return node;
}

std::vector<Config> Config::list(const std::string& key) const {
  if (!has(key)) return {};
  const Config node = child(key);
  if (!node.is_list()) fail(key, "expected a list");
  return node.elements();
}

std::vector<Config> Config::elements() const {
  std::vector<Config> out;
  if (!is_list()) return out;
  const OrderedJson& json = as_json(json_);
  for (std::size_t i = 0; i < json.size(); ++i) {
    out.push_back(Config(root_, &json[i], source_, fmt::format("{}[{}]", path_, i)));
  }
  return out;
}

std::vector<std::pair<std::string, Config>> Config::members() const {
  std::vector<std::pair<std::string, Config>> out;
  const OrderedJson& json = as_json(json_);
  if (!json.is_object()) return out;
  for (const auto& [key, value] : json.items()) {
    out.emplace_back(key, Config(root_, &value, source_, step(path_, key)));
  }
  return out;
}

bool Config::is_object() const {
  return as_json(json_).is_object();
}
bool Config::is_text() const {
  return as_json(json_).is_string();
}
bool Config::is_list() const {
  return as_json(json_).is_array();
}
bool Config::is_integer() const {
  return as_json(json_).is_number_integer();
}

bool Config::is_number() const {
  return as_json(json_).is_number();
}
bool Config::is_flag() const {
  return as_json(json_).is_boolean();
}

double Config::as_number() const {
  if (!is_number()) fail("", "expected a number");
  return as_json(json_).get<double>();
}

bool Config::as_flag() const {
  if (!is_flag()) fail("", "expected true or false");
  return as_json(json_).get<bool>();
}

std::string Config::as_text() const {
  if (!is_text()) fail("", "expected a string");
  return as_json(json_).get<std::string>();
}

std::int64_t Config::as_integer() const {
  if (!is_integer()) fail("", "expected an integer");
  return as_json(json_).get<std::int64_t>();
}

std::string Config::dump() const {
  return as_json(json_).dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

}  // namespace mmbatch
