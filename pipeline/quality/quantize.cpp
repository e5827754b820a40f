#include "pipeline/quality/quantize.h"

#include <fmt/format.h>

#include <deque>
#include <fstream>
#include <map>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/output/output_error.h"
#include "engine/base/threads.h"
#include "engine/kernels/product/precision_choice.h"
#include "engine/weights/gguf/block_form.h"
#include "engine/weights/safetensors.h"
#include "engine/weights/safetensors_writer.h"
#include "fusion/model.h"
#include "pipeline/graph/messages.h"
#include "pipeline/quality/new_folder.h"

namespace mmbatch {
namespace fs = std::filesystem;
namespace {

using PackedTensors = std::map<std::string, std::shared_ptr<const PackedTensor>>;

/// Everything but weights: configuration, tokenizer, templates.
void copy_small_files(const fs::path& from, const fs::path& to) {
  for (const auto& entry : fs::directory_iterator(from)) {
    const std::string name = entry.path().filename().string(), extension = entry.path().extension().string();
    const bool weights = extension == ".safetensors" || extension == ".bin" || extension == ".pt" ||
                         extension == ".pth" || extension == ".gguf" ||
                         name.find(".index.json") != std::string::npos;
    if (weights || !entry.is_regular_file()) continue;
    std::error_code failed;
    fs::copy_file(entry.path(), to / name, failed);
    if (failed)
      throw OutputError(fmt::format("{}: cannot be copied to {}: {}", entry.path().string(), to.string(),
                                    failed.message()));
  }
}

void write_small_file(const fs::path& file, const std::string& bytes) {
  std::ofstream stream(file, std::ios::binary);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  stream.close();
  if (!stream) throw OutputError(fmt::format("{}: cannot be written", file.string()));
}

/// What makes a whole model of the packed weights. A GGUF file has no small files: those that stand for them,
/// and its keys, are written.
void bring_small_files(const CheckpointFiles& files, const fs::path& to) {
  const std::string vocabulary = files.vocabulary_file();
  constexpr std::size_t kMaxBytes = 64u << 20;
  if (vocabulary.empty()) {
    copy_small_files(files.path(), to);
    // Of a model with adapters it may be another than the folder's.
    const fs::path config = to / "config.json";
    if (const auto bytes = files.read_file(config.filename().string(), kMaxBytes)) {
      fs::remove(config);
      write_small_file(config, *bytes);
    }
    return;
  }
  for (const std::string& name : files.list_files("")) {
    if (const auto bytes = files.read_file(name, kMaxBytes)) write_small_file(to / name, *bytes);
  }
  write_small_file(to / FolderFiles::kVocabularyFile, vocabulary);
}

std::string safetensors_dtype(DType type) {
  if (type == DType::f32) return "F32";
  return type == DType::f16 ? "F16" : "BF16";
}

/// Packed tensors in front, for they are multiples of 64 bytes and so stay aligned; then the others that
/// layers read as they are: norms, biases, embeddings.
/// @param divided tensors whose parts are packed instead   @param smoothing of norms; null: they are as they
/// were   @param floats keeps what is stored in blocks or groups: it is written as float32, which loses
/// nothing, but for tables of blocks in Precision::stored, which @param metadata tells of
std::vector<StoredTensor> tensors_to_store(const WeightSource& weights, const PackedTensors& packed,
                                           const std::set<std::string>& divided,
                                           const QuantizeOptions& options,
                                           std::deque<std::vector<float>>& floats,
                                           std::map<std::string, std::string>& metadata) {
  const Smoothing* smoothing = options.smoothing;
  std::vector<StoredTensor> tensors;
  for (const auto& [name, tensor] : packed) {
    tensors.push_back({name, "U8", {tensor->bytes().size()}, tensor->bytes().data(), tensor->bytes().size()});
  }
  for (const auto& [name, stored] : weights.tensors()) {
    if (packed.count(name) > 0 || divided.count(name) > 0) continue;
    const TensorView view = smoothing != nullptr ? smoothing->tensor(stored) : stored;
    const auto blocks = gguf::blocks_of(view);
    if (options.weights == Precision::stored && !blocks.empty() && view.shape.size() == 2) {
      metadata["blocks:" + name] = fmt::format("{} {} {}", stored_type(view), view.rows(), view.cols());
      tensors.push_back({name, "U8", {blocks.size()}, blocks.data(), blocks.size()});
      continue;
    }
    if (view.form) {
      const std::vector<float>& values = floats.emplace_back(to_floats(view));
      tensors.push_back({name, "F32", view.shape, reinterpret_cast<const std::byte*>(values.data()),
                         values.size() * sizeof(float)});
      continue;
    }
    tensors.push_back({name, safetensors_dtype(view.dtype), view.shape, view.data, view.bytes()});
  }
  return tensors;
}

}  // namespace

void check_target(const fs::path& out) {
  NewFolder::check(out);
}

void quantize(const QuantizeOptions& options, std::ostream& out) {
  if (options.weights == Precision::f32)
    throw UsageError(
        "--weights f32: a checkpoint is that already once it is loaded, so it is for --report alone, without "
        "a folder to write; allowed for one are auto, bf16, int16, int8, w8a16, int4, w4a16, stored");
  const std::shared_ptr<const ModelFiles>& files = options.files;
  if (files->weights->packed()) {
    throw UsageError(fmt::format("{}: is packed already, in {}; take the published checkpoint",
                                 files->folder.string(), to_string(*files->weights->packed())));
  }
  if (options.weights == Precision::stored && !is_quantized(*files->weights))
    throw UsageError(
        fmt::format("--weights stored: keeps the small numbers of a quantized file, and {} is none; allowed "
                    "are bf16, int16, int8, "
                    "w8a16, int4, w4a16",
                    files->folder.string()));
  NewFolder folder(options.out);
  const auto begin = Clock::now();
  PackedTensors packed;
  std::set<std::string> divided;
  std::map<std::string, std::string> metadata = {{"format", "pt"},
                                                 {"mmbatch.packed", std::string(to_string(options.weights))},
                                                 {"mmbatch.layout", std::to_string(kPackedLayout)}};
  WeightHooks hooks;
  hooks.packed = [&](const std::string& name, const std::shared_ptr<const PackedTensor>& tensor) {
    packed[name] = tensor;
    metadata["packed:" + name] = fmt::format("{} {} {}{}", tensor->layout(), tensor->out(), tensor->in(),
                                             tensor->order().empty() ? "" : " ordered");
  };
  hooks.divided = [&](const std::string& name) { divided.insert(name); };
  hooks.smoothing = options.smoothing;
  if (options.smoothing != nullptr) metadata["mmbatch.smoothed"] = options.smoothing->made_by;
  Arena arena(options.threads);
  arena.run([&] { Model(files, options.weights, std::move(hooks)); });
  bring_small_files(*files->weights, folder.inside());
  std::deque<std::vector<float>> floats;
  const std::vector<StoredTensor> tensors =
      tensors_to_store(*files->weights, packed, divided, options, floats, metadata);
  const std::string name = "model.safetensors";
  write_safetensors(folder.inside() / name, tensors, metadata);
  folder.finish(name);
  std::size_t before = 0, after = 0;
  for (const auto& [name, view] : files->weights->tensors()) before += view.bytes();
  for (const StoredTensor& tensor : tensors) after += tensor.bytes;
  out << fmt::format("{}: {} of {} tensors packed in {}{}, {:.1f} MiB instead of {:.1f} MiB, {:.1f} s\n",
                     options.out.string(), packed.size(), tensors.size(), to_string(options.weights),
                     options.smoothing != nullptr ? ", smoothed" : "", static_cast<double>(after) / (1 << 20),
                     static_cast<double>(before) / (1 << 20), milliseconds_since(begin) / 1000);
}

}  // namespace mmbatch
