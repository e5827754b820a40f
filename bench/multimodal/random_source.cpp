#include "bench/multimodal/random_source.h"

#include <algorithm>

#include "bench/checkpoint/tensors.h"
#include "engine/base/threads.h"

namespace mmbatch::bench {
namespace {

constexpr std::size_t kTile = std::size_t{1} << 18;
constexpr float kDeviation = 0.02f;  // as published models begin with

std::size_t elements(const ShapedTensor& tensor) {
  std::size_t count = 1;
  for (const std::size_t size : tensor.shape) count *= size;
  return count;
}

}  // namespace

RandomSource::RandomSource(std::map<std::string, std::string> files, const std::vector<ShapedTensor>& tensors)
    : WeightSource("random"), files_(std::move(files)) {
  std::size_t most = 0;
  for (const ShapedTensor& tensor : tensors) most = std::max(most, elements(tensor));
  numbers_.resize(most);
  const RandomTensor pattern{"", {most}, 0, kDeviation};
  parallel_tiles((most + kTile - 1) / kTile, [&](std::size_t tile) {
    const std::size_t first = tile * kTile;
    fill_random(pattern, 1, first, std::min(kTile, most - first), numbers_.data() + first);
  });
  for (const ShapedTensor& tensor : tensors) {
    TensorView view{tensor.name, DType::bf16, tensor.shape};
    view.data = reinterpret_cast<const std::byte*>(numbers_.data());
    add(view, path());
  }
}

std::optional<std::string> RandomSource::read_file(const std::string& name, std::size_t) const {
  const auto found = files_.find(name);
  if (found == files_.end()) return std::nullopt;
  return found->second;
}

Config RandomSource::read_config() const {
  return Config::parse(files_.at("config.json"), "config.json");
}

}  // namespace mmbatch::bench
