#include "engine/weights/safetensors_folder.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "engine/base/config.h"
#include "engine/base/error.h"
#include "engine/weights/quantized/quantized.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWanted = "a checkpoint is a folder with config.json and model.safetensors";
constexpr const char* kConvert =
    "weights are read from safetensors and GGUF files only. Take the safetensors of the published "
    "checkpoint, or load "
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

/// Says what was given in place of a folder.
[[noreturn]] void refuse_path(const fs::path& path) {
  std::error_code failed;
  if (!fs::exists(path, failed)) {
    throw ModelError(fmt::format("{}: {}; {}", path.string(),
                                 failed ? "cannot be read: " + failed.message() : "no such folder", kWanted));
  }
  if (path.extension() == ".safetensors") {
    throw ModelError(fmt::format("{}: a file; give the folder that it is in: {}", path.string(), kWanted));
  }
  const std::string format = foreign_format(path);
  if (!format.empty()) throw ModelError(fmt::format("{}: {}; {}", path.string(), format, kConvert));
  throw ModelError(fmt::format("{}: a file; {}", path.string(), kWanted));
}

/// Says what a folder without model.safetensors holds instead.
[[noreturn]] void refuse_folder(const fs::path& folder) {
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
      throw ModelError(fmt::format("{}: shard '{}' of tensor '{}' is not a plain file name", index.source(),
                                   name, tensor));
    }
    shards.insert(name);
  }
  if (shards.empty()) index.fail("weight_map", "names no shard");
  return shards;
}

void add_part(quantized::StoredParts& parts, const TensorView& tensor, const fs::path& file) {
  if (parts.tensors.emplace(tensor.name, tensor).second) return;
  throw ModelError(fmt::format("{}: tensor '{}' is stored in another file too", file.string(), tensor.name));
}

}  // namespace

std::vector<SafetensorsFile> open_safetensors(const fs::path& folder) {
  const fs::path single = folder / "model.safetensors";
  const fs::path index = folder / "model.safetensors.index.json";
  std::error_code failed;
  if (!fs::is_directory(folder, failed)) refuse_path(folder);
  std::vector<SafetensorsFile> files;
  if (fs::exists(single, failed)) {
    files.emplace_back(single);
  } else if (fs::exists(index, failed)) {
    for (const std::string& shard : shard_names(Config::read(index))) files.emplace_back(folder / shard);
  } else {
    refuse_folder(folder);
  }
  return files;
}

FolderSource::FolderSource(const fs::path& folder, std::vector<SafetensorsFile> files)
    : WeightSource(folder), small_(folder), mapped_(std::move(files)) {
  quantized::StoredParts parts;
  for (const SafetensorsFile& file : mapped_) {
    for (const auto& [name, tensor] : file.tensors()) add_part(parts, tensor, file.path());
    for (const auto& [name, raw] : file.raw_tensors()) parts.others.emplace(name, raw);
  }
  if (!parts.others.empty() && !mapped_.front().packed()) {
    try {
      present_quantized(find_quantization(json_file("config.json"), json_file("quantize_config.json")),
                        parts);
    } catch (const ModelError& e) {
      if (std::string_view(e.what()).starts_with((folder / "").string())) throw;  // names the file
      throw ModelError(fmt::format("{}: {}", folder.string(), e.what()));
    }
  }
  for (const auto& [name, tensor] : parts.tensors) add(tensor, folder);
  for (const SafetensorsFile& file : mapped_) {
    for (const auto& [name, type] : file.other_tensors()) {
      if (file.raw_tensors().count(name) == 0 || parts.others.count(name) > 0) add_other(name, type);
    }
  }
}

Config FolderSource::read_config() const {
  return Config::read(path() / "config.json");
}

std::string FolderSource::fingerprint(FingerprintScope scope) const {
  if (scope == FingerprintScope::all_bytes) {  // what is used was looked at when it was packed
    for (const auto& [name, tensor] : tensors()) check_finite(tensor);
  }
  return folder_fingerprint(path(), scope);
}

std::vector<WeightFile> FolderSource::files() const {
  std::vector<WeightFile> files;
  for (const SafetensorsFile& file : mapped_) {
    files.push_back(
        {file.path().filename().string(), file.bytes(), file.tensors().size() + file.other_tensors().size()});
  }
  return files;
}

SafetensorsFolder::SafetensorsFolder(const fs::path& folder, std::vector<SafetensorsFile> files)
    : FolderSource(folder, std::move(files)) {
  for (const SafetensorsFile& file : mapped()) {
    if (!file.packed()) continue;
    throw ModelError(
        fmt::format("{}: packed by mmbatch quantize, which writes one file: it does not belong to these "
                    "shards",
                    file.path().string()));
  }
}

PackedFolder::PackedFolder(const fs::path& folder, std::vector<SafetensorsFile> files)
    : FolderSource(folder, std::move(files)) {
  if (mapped().size() == 1 && packed()) return;
  throw ModelError(
      fmt::format("{}: mmbatch quantize writes one file, model.safetensors, found are {} files of which the "
                  "first is {}packed",
                  folder.string(), mapped().size(), packed() ? "" : "not "));
}

}  // namespace mmbatch
