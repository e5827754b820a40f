#include "jobs/manifest/model_parts.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "jobs/item/fields.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(Place place, const std::string& problem) {
  throw PlacedError(ErrorCode::invalid_value, place, problem);
}

std::optional<double> read_scale(std::string_view text) {
  double scale = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), scale);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || !std::isfinite(scale)) return {};
  return scale;
}

fs::path below(const fs::path& folder, const std::string& path) {
  return folder.empty() ? fs::path(path) : (folder / path).lexically_normal();
}

std::string path_text(const Node& node, const char* key) {
  if (node.kind != Node::Kind::text || node.text.empty() || node.text.find('\0') != std::string::npos)
    fail(node.place, fmt::format("'{}' must be a path", key));
  return node.text;
}

AdapterPlace adapter_of(const Node& node, const fs::path& folder) {
  if (node.kind == Node::Kind::text) return read_adapter(path_text(node, "lora"), folder);
  if (node.kind != Node::Kind::map)
    fail(node.place, "'lora' must be a folder, a list of folders, or of {path, scale}");
  check_keys(node, {"path", "scale"}, "an adapter");
  const Node::Entry *path = node.find("path"), *scale = node.find("scale");
  if (path == nullptr) fail(node.place, "'path' of an adapter is missing");
  AdapterPlace adapter{below(folder, path_text(*path->value, "path"))};
  if (scale == nullptr) return adapter;
  const auto number =
      scale->value->kind == Node::Kind::number ? read_scale(scale->value->text) : std::nullopt;
  if (!number) fail(scale->place, "'scale' must be a number");
  adapter.scale = *number;
  return adapter;
}

}  // namespace

AdapterPlace read_adapter(const std::string& text, const fs::path& folder) {
  std::error_code failed;
  const std::size_t colon = text.rfind(':');
  if (colon != std::string::npos && colon > 0 && !fs::exists(below(folder, text), failed)) {
    if (const auto scale = read_scale(std::string_view(text).substr(colon + 1)))
      return {below(folder, text.substr(0, colon)), *scale};
  }
  return {below(folder, text)};
}

ModelParts read_model_parts(const Node& manifest, const fs::path& folder) {
  ModelParts parts;
  if (const Node::Entry* entry = manifest.find("mmproj")) {
    const std::string path = path_text(*entry->value, "mmproj");
    parts.projector = path == "none" ? fs::path(path) : below(folder, path);
  }
  const Node::Entry* lora = manifest.find("lora");
  if (lora == nullptr) return parts;
  if (lora->value->kind != Node::Kind::list) {
    parts.adapters.push_back(adapter_of(*lora->value, folder));
    return parts;
  }
  for (const NodePointer& one : lora->value->list) parts.adapters.push_back(adapter_of(*one, folder));
  return parts;
}

}  // namespace mmbatch
