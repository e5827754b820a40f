#include "engine/weights/checkpoint.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "engine/base/config.h"
#include "engine/base/error.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWanted = "a checkpoint is a folder with config.json and model.safetensors";
constexpr const char* kConvert =
    "weights are read from safetensors files only. Take the safetensors of the published checkpoint, or load "
    "it with transformers and save it: model.save_pretrained(FOLDER, safe_serialization=True)";

/// What a file of weights in another format is called, by its name; empty for other files.
std::string foreign_format(const fs::path& file) {
  static const std::map<std::string, const char*> formats = {
      {".gguf", "a GGUF file"},  {".ggml", "a GGML file"},  {".bin", "a pickle file"},
      {".pt", "a pickle file"},  {".pth", "a pickle file"}, {".ckpt", "a pickle file"},
      {".pkl", "a pickle file"}, {".h5", "a Keras file"},   {".msgpack", "a Flax file"},
      {".onnx", "an ONNX file"}};
  const auto found = formats.find(file.extension().string());
  return found == formats.end() ? "" : found->second;
}

/// What was given in place of a folder.
[[noreturn]] void no_folder(const fs::path& path) {
  std::error_code failed;
  if (!fs::exists(path, failed)) {
    throw ModelError(fmt::format("{}: no such folder; {}", path.string(), kWanted));
  }
  if (path.extension() == ".safetensors") {
    throw ModelError(fmt::format("{}: a file; give the folder that it is in: {}", path.string(), kWanted));
  }
  const std::string format = foreign_format(path);
  if (!format.empty()) throw ModelError(fmt::format("{}: {}; {}", path.string(), format, kConvert));
  throw ModelError(fmt::format("{}: a file; {}", path.string(), kWanted));
}

/// What a folder without model.safetensors holds instead.
[[noreturn]] void no_weights(const fs::path& folder) {
  std::error_code failed;
  std::string foreign, format;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    const std::string name = entry.path().filename().string();
    if (name == "adapter_model.safetensors") {
      throw ModelError(
          fmt::format("{}: found {}, an adapter: merge it into its base model "
                      "(merge_and_unload() of peft) and save that",
                      folder.string(), name));
    }
    // The least of several names, so that the message does not depend on the folder's order.
    const std::string kind = foreign_format(entry.path());
    if (!kind.empty() && (foreign.empty() || name < foreign)) {
      foreign = name;
      format = kind;
    }
  }
  if (!foreign.empty()) {
    throw ModelError(fmt::format("{}: found {}, {}; {}", folder.string(), foreign, format, kConvert));
  }
  throw ModelError(fmt::format("{}: neither model.safetensors nor model.safetensors.index.json is there; {}",
                               folder.string(), kWanted));
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
  if (!fs::is_directory(folder, failed)) no_folder(folder);
  if (fs::exists(single, failed)) {
    files_.emplace_back(single);
  } else if (fs::exists(index_path, failed)) {
    for (const std::string& shard : shard_names(Config::read(index_path)))
      files_.emplace_back(folder / shard);
  } else {
    no_weights(folder);
  }
  for (const SafetensorsFile& file : files_) {
    if (file.packed()) packed_ = file.packed();
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
