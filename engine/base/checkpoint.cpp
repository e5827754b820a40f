#include "engine/base/checkpoint.h"

#include <fmt/format.h>

#include <set>

#include "engine/base/config.h"
#include "engine/base/error.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;

/// What a folder without safetensors holds instead, and the way out.
[[noreturn]] void no_weights(const fs::path& folder) {
  std::error_code failed;
  if (!fs::is_directory(folder, failed)) {
    throw ModelError(
        fmt::format("{}: no such folder; --model takes a checkpoint folder with config.json and "
                    "model.safetensors",
                    folder.string()));
  }
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".bin" || extension == ".pt" || extension == ".pth" || extension == ".gguf") {
      throw ModelError(
          fmt::format("{}: found {}, but weights are read from safetensors files only; convert the "
                      "checkpoint (save_pretrained(..., safe_serialization=True))",
                      folder.string(), entry.path().filename().string()));
    }
  }
  throw ModelError(fmt::format("{}: neither model.safetensors nor model.safetensors.index.json is there",
                               folder.string()));
}

std::set<std::string> shard_names(const Config& index) {
  std::set<std::string> shards;
  for (const auto& [tensor, file] : index.child("weight_map").members()) {
    const std::string name = file.as_text();
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos) {
      throw ModelError(
          fmt::format("{}: shard '{}' of tensor '{}' is no plain file name", index.source(), name, tensor));
    }
    shards.insert(name);
  }
  if (shards.empty()) index.fail("weight_map", "names no shard");
  return shards;
}

}  // namespace

Checkpoint::Checkpoint(const fs::path& folder) : folder_(folder) {
  const fs::path single = folder / "model.safetensors";
  const fs::path index_path = folder / "model.safetensors.index.json";
  std::error_code failed;
  if (fs::exists(single, failed)) {
    files_.emplace_back(single);
  } else if (fs::exists(index_path, failed)) {
    for (const std::string& shard : shard_names(Config::read(index_path)))
      files_.emplace_back(folder / shard);
  } else {
    no_weights(folder);
  }
  for (const SafetensorsFile& file : files_) {
    for (const auto& [name, view] : file.tensors()) {
      if (!tensors_.emplace(name, view).second) {
        throw ModelError(
            fmt::format("{}: tensor '{}' is stored in another shard too", file.path().string(), name));
      }
    }
  }
}

const TensorView& Checkpoint::tensor(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) return found->second;
  for (const SafetensorsFile& file : files_) {
    const auto other = file.unsupported().find(name);
    if (other == file.unsupported().end()) continue;
    throw ModelError(fmt::format("{}: tensor '{}' is stored as {}; supported are F32, F16 and BF16",
                                 file.path().string(), name, other->second));
  }
  throw ModelError(fmt::format("{}: tensor '{}' is missing", folder_.string(), name));
}

TensorView Checkpoint::tensor(const std::string& name, const std::vector<std::size_t>& shape) const {
  const TensorView& found = tensor(name);
  if (found.shape != shape) {
    throw ModelError(fmt::format("{}: tensor '{}': expected shape {} by config.json, found {}",
                                 folder_.string(), name, shape_text(shape), shape_text(found.shape)));
  }
  return found;
}

std::string Checkpoint::prefix_of(const std::string& probe,
                                  std::initializer_list<const char*> prefixes) const {
  std::string tried;
  for (const char* prefix : prefixes) {
    if (has(prefix + probe)) return prefix;
    tried += fmt::format("{}'{}{}'", tried.empty() ? "" : ", ", prefix, probe);
  }
  throw ModelError(fmt::format("{}: none of the tensors {} is there", folder_.string(), tried));
}

bool Checkpoint::has_below(const std::string& prefix) const {
  const auto next = tensors_.lower_bound(prefix);
  return next != tensors_.end() && next->first.compare(0, prefix.size(), prefix) == 0;
}

}  // namespace mmbatch
