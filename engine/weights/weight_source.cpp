#include "engine/weights/weight_source.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "engine/weights/files/stored_place.h"
#include "engine/weights/safetensors_folder.h"

namespace mmbatch {

const Config& WeightSource::config() const {
  std::call_once(config_read_, [&] { config_ = read_config(); });
  return *config_;
}

void WeightSource::add(const TensorView& tensor, const std::filesystem::path& file) {
  if (tensors_.emplace(tensor.name, tensor).second) return;
  throw ModelError(fmt::format("{}: tensor '{}' is stored in another file too", file.string(), tensor.name));
}

const TensorView& WeightSource::tensor(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) {
    const std::lock_guard lock(read_mutex_);
    read_.insert(name);
    return found->second;
  }
  if (const auto other = others_.find(name); other != others_.end()) {
    throw ModelError(fmt::format("{}: tensor '{}' is stored as {}; supported are F32, F16 and BF16",
                                 path().string(), name, other->second));
  }
  throw ModelError(fmt::format("{}: tensor '{}' is missing", path().string(), name));
}

TensorView WeightSource::tensor(const std::string& name, const std::vector<std::size_t>& shape) const {
  const TensorView& found = tensor(name);
  if (found.shape != shape) {
    const std::string file = gguf() != nullptr ? file_of(found) : std::string();
    throw ModelError(fmt::format(
        "{}: tensor '{}': expected shape {} by {}, found {}", file.empty() ? path().string() : file, name,
        shape_text(shape), gguf() != nullptr ? "the model's keys" : "config.json", shape_text(found.shape)));
  }
  return found;
}

std::string WeightSource::prefix_of(const std::string& probe,
                                    std::initializer_list<const char*> prefixes) const {
  std::string tried;
  for (const char* prefix : prefixes) {
    if (has(prefix + probe)) return prefix;
    tried += fmt::format("{}'{}{}'", tried.empty() ? "" : ", ", prefix, probe);
  }
  throw ModelError(fmt::format("{}: none of the tensors {} is there", path().string(), tried));
}

std::vector<std::string> WeightSource::unread() const {
  std::vector<std::string> names;
  const std::lock_guard lock(read_mutex_);
  for (const auto& [name, tensor] : tensors_) {
    if (read_.count(name) == 0) names.push_back(name);
  }
  for (const auto& [name, type] : others_) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

bool WeightSource::has_below(const std::string& prefix) const {
  const auto next = tensors_.lower_bound(prefix);
  return next != tensors_.end() && next->first.compare(0, prefix.size(), prefix) == 0;
}

std::shared_ptr<const WeightSource> open_weights(const std::filesystem::path& folder) {
  std::vector<SafetensorsFile> files = open_safetensors(folder);
  if (files.front().packed()) return std::make_shared<const PackedFolder>(folder, std::move(files));
  return std::make_shared<const SafetensorsFolder>(folder, std::move(files));
}

}  // namespace mmbatch
