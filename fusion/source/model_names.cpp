#include "fusion/source/model_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "engine/base/config.h"
#include "engine/base/error.h"
#include "engine/base/files/small_file.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;

/// What stands behind `scheme` in a path that ends with such a name.
std::optional<std::string> name_behind(const std::string& scheme, const std::string& path) {
  const std::size_t at = path.rfind(scheme);
  if (at == std::string::npos || (at > 0 && path[at - 1] != '/')) return {};
  return path.substr(at + scheme.size());
}

/// An environment variable's folder, or one below the home folder.
fs::path folder_of(const char* variable, const char* below_variable, const char* below_home) {
  if (const char* set = std::getenv(variable); set != nullptr && *set != '\0')
    return fs::path(set) / below_variable;
  const char* home = std::getenv("HOME");
  return fs::path(home != nullptr ? home : "/") / below_home;
}

/// Parts of a name that are folders: plain ones only, so that no name leads elsewhere.
std::vector<std::string> parts_of(const std::string& name, const fs::path& model) {
  std::vector<std::string> parts = {""};
  for (const char c : name) {
    if (c == '/')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  for (const std::string& part : parts) {
    if (part.empty() || part == "." || part == ".." || part.find('\0') != std::string::npos)
      throw ModelError(fmt::format("{}: is not the name of a model: '{}' in it is not a plain name",
                                   model.string(), part));
  }
  return parts;
}

[[noreturn]] void not_there(const fs::path& model, const fs::path& place, const std::string& advice) {
  throw ModelError(fmt::format("{}: there is no {}; {}", model.string(), place.string(), advice));
}

fs::path blob_of(const fs::path& store, const Config& layer) {
  const std::string digest = layer.text("digest", ""), scheme = "sha256:";
  const bool hexadecimal = digest.find_first_not_of("0123456789abcdef", scheme.size()) == std::string::npos;
  if (digest.rfind(scheme, 0) != 0 || digest.size() != scheme.size() + 64 || !hexadecimal)
    layer.fail("digest", "must be sha256: and 64 hexadecimal digits");
  return store / "blobs" / ("sha256-" + digest.substr(scheme.size()));
}

ModelPlace find_in_ollama(const std::string& name, const fs::path& model) {
  const fs::path store = folder_of("OLLAMA_MODELS", "", ".ollama/models");
  const std::size_t slash = name.rfind('/'), last_colon = name.rfind(':');
  const bool is_port = slash != std::string::npos && last_colon != std::string::npos && last_colon < slash;
  const std::size_t colon = is_port ? std::string::npos : last_colon;
  const std::string tag = colon == std::string::npos ? "latest" : name.substr(colon + 1);
  std::vector<std::string> parts = parts_of(name.substr(0, colon), model);
  if (parts.size() == 1) parts.insert(parts.begin(), "library");
  if (parts.size() == 2) parts.insert(parts.begin(), "registry.ollama.ai");
  fs::path manifest = store / "manifests";
  for (const std::string& part : parts) manifest /= part;
  manifest /= parts_of(tag, model).front();
  std::error_code failed;
  if (!fs::exists(manifest, failed))
    not_there(model, manifest, "fetch it with `ollama pull`, or set OLLAMA_MODELS to the folder that has it");
  ModelPlace place;
  for (const Config& layer : Config::read(manifest).list("layers")) {
    const std::string type = layer.text("mediaType", "");
    if (type == "application/vnd.ollama.image.model" && place.model.empty())
      place.model = blob_of(store, layer);
    if (type == "application/vnd.ollama.image.projector") place.parts.projector = blob_of(store, layer);
    if (type == "application/vnd.ollama.image.adapter")
      throw ModelError(fmt::format(
          "{}: has an adapter in GGUF, which is not supported; give one in peft's files with --lora",
          manifest.string()));
  }
  if (place.model.empty())
    throw ModelError(fmt::format("{}: names no layer with a model", manifest.string()));
  return place;
}

/// The revision that a name means: its own, what "main" is, or the only one that is there.
std::string revision_of(const fs::path& repository, const std::string& wanted) {
  constexpr std::size_t kMaxBytes = 4096;
  const auto text = read_small_file(repository / "refs" / (wanted.empty() ? "main" : wanted), kMaxBytes);
  std::istringstream words(text ? text.value() : "");
  std::string revision;
  if (words >> revision) return revision;
  if (!wanted.empty()) return wanted;
  std::vector<std::string> all;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(repository / "snapshots", failed))
    all.push_back(entry.path().filename().string());
  return all.size() == 1 ? all.front() : "main";
}

ModelPlace find_in_hub_cache(const std::string& name, const fs::path& model) {
  const char* cache = std::getenv("HF_HUB_CACHE");
  const fs::path hub = cache != nullptr && *cache != '\0'
                           ? fs::path(cache)
                           : folder_of("HF_HOME", "hub", ".cache/huggingface/hub");
  // The owner and the name; what stands behind them is a file.
  std::vector<std::string> parts = parts_of(name, model);
  std::string& last = parts[std::min<std::size_t>(1, parts.size() - 1)];
  const std::size_t at = last.find('@');
  const std::string wanted = at == std::string::npos ? "" : last.substr(at + 1);
  last.resize(std::min(at, last.size()));
  if (at != std::string::npos) parts_of(wanted, model);
  std::string folder = "models";
  for (std::size_t i = 0; i < std::min<std::size_t>(2, parts.size()); ++i) folder += "--" + parts[i];
  const fs::path repository = hub / folder;
  const std::string revision = revision_of(repository, wanted);
  if (revision.empty() || revision.find('/') != std::string::npos || revision[0] == '.')
    throw ModelError(
        fmt::format("{}: names '{}', which is not a revision", (repository / "refs").string(), revision));
  fs::path place = repository / "snapshots" / revision;
  std::error_code failed;
  if (!fs::is_directory(place, failed))
    not_there(model, place, "fetch it with `hf download`, or set HF_HOME to the folder that has it");
  for (std::size_t i = 2; i < parts.size(); ++i) place /= parts[i];
  if (!fs::exists(place, failed))
    not_there(model, place, "fetch it with `hf download`, or name another file");
  return {place};
}

}  // namespace

std::optional<ModelPlace> find_by_name(const fs::path& model) {
  const std::string path = model.generic_string();
  if (const auto name = name_behind("ollama:", path)) return find_in_ollama(*name, model);
  if (const auto name = name_behind("hf:", path)) return find_in_hub_cache(*name, model);
  return {};
}

}  // namespace mmbatch
