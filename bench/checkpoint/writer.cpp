#include "bench/checkpoint/writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/checkpoint/files.h"
#include "bench/checkpoint/tensors.h"
#include "engine/base/error.h"
#include "engine/base/threads.h"

namespace mmbatch::bench {
namespace {

using Json = nlohmann::ordered_json;
using Shard = std::vector<const RandomTensor*>;

constexpr std::size_t kElementBytes = 2;
constexpr std::size_t kTile = std::size_t{1} << 18;  // elements that one thread makes at a time
constexpr std::size_t kTilesAtOnce = 16;

std::size_t bytes_of(const RandomTensor& tensor) {
  return tensor.elements() * kElementBytes;
}

std::vector<Shard> shards_of(const std::vector<RandomTensor>& tensors, std::size_t shard_bytes) {
  std::vector<Shard> shards;
  std::size_t bytes = 0;
  for (const RandomTensor& tensor : tensors) {
    if (shards.empty() || bytes + bytes_of(tensor) > shard_bytes) {
      shards.emplace_back();
      bytes = 0;
    }
    shards.back().push_back(&tensor);
    bytes += bytes_of(tensor);
  }
  return shards;
}

/// The length field and header of a safetensors file; padded, so that the data is aligned.
std::string header_of(const Shard& shard) {
  Json header;
  std::size_t begin = 0;
  for (const RandomTensor* tensor : shard) {
    const std::size_t end = begin + bytes_of(*tensor);
    header[tensor->name] = {{"dtype", "BF16"}, {"shape", tensor->shape}, {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 63) / 64 * 64 + 56, ' ');  // with the 8 bytes of length a multiple of 64
  std::string length;
  for (int shift = 0; shift < 64; shift += 8) length += static_cast<char>(text.size() >> shift & 255);
  return length + text;
}

/// A number of the tensor's own for its random values.
std::uint64_t seed_of(const RandomTensor& tensor, std::uint64_t seed) {
  std::uint64_t hash = 0xCBF29CE484222325u ^ seed;  // FNV-1a
  for (const char c : tensor.name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return hash;
}

void write_tensor(const RandomTensor& tensor, std::uint64_t seed, std::ofstream& out) {
  const std::size_t elements = tensor.elements();
  std::vector<std::uint16_t> values(std::min(elements, kTile * kTilesAtOnce));
  for (std::size_t begin = 0; begin < elements; begin += values.size()) {
    const std::size_t count = std::min(values.size(), elements - begin);
    parallel_tiles((count + kTile - 1) / kTile, [&](std::size_t tile) {
      const std::size_t first = tile * kTile;
      fill_random(tensor, seed, begin + first, std::min(kTile, count - first), values.data() + first);
    });
    out.write(reinterpret_cast<const char*>(values.data()),
              static_cast<std::streamsize>(count * kElementBytes));
  }
}

void write_weights(const ModelShape& shape, const std::filesystem::path& folder, std::uint64_t seed) {
  const std::vector<RandomTensor> tensors = tensors_of(shape);
  const std::vector<Shard> shards = shards_of(tensors, shape.shard_bytes);
  Json map;
  std::size_t total = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    std::ofstream out(folder / name, std::ios::binary);
    out << header_of(shards[i]);
    for (const RandomTensor* tensor : shards[i]) {
      write_tensor(*tensor, seed_of(*tensor, seed), out);
      map[tensor->name] = name;
      total += bytes_of(*tensor);
    }
    if (!out.flush())
      throw UsageError(fmt::format("{}: cannot be written; is there room for {} MB?",
                                   (folder / name).string(), total >> 20));
  }
  std::ofstream index(folder / "model.safetensors.index.json");
  index << Json{{"metadata", {{"total_size", total}}}, {"weight_map", map}}.dump(2);
  if (!index.flush()) throw UsageError(fmt::format("{}: the index cannot be written", folder.string()));
}

}  // namespace

void write_checkpoint(const ModelShape& shape, const std::filesystem::path& folder, std::uint64_t seed) {
  namespace fs = std::filesystem;
  if (fs::exists(folder)) throw UsageError(fmt::format("{}: is there already", folder.string()));
  fs::path unfinished = folder.lexically_normal();
  if (unfinished.filename().empty()) unfinished = unfinished.parent_path();  // a slash at the end
  unfinished += ".unfinished";
  std::error_code failed;
  fs::remove_all(unfinished, failed);
  fs::create_directories(unfinished, failed);
  if (failed) throw UsageError(fmt::format("{}: {}", unfinished.string(), failed.message()));
  write_small_files(shape, unfinished);
  write_weights(shape, unfinished, seed);
  fs::rename(unfinished, folder, failed);
  if (failed) throw UsageError(fmt::format("{}: {}", folder.string(), failed.message()));
}

}  // namespace mmbatch::bench
