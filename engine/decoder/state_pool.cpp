#include "engine/decoder/state_pool.h"

namespace mmbatch {
namespace {

/// Layers' states begin at cache lines.
std::size_t layer_floats(const LayerConfig& layer) {
  constexpr std::size_t kLine = 16;
  return layer.recurrent ? (state_floats(*layer.recurrent) + kLine - 1) / kLine * kLine : 0;
}

}  // namespace

StatePool::StatePool(const DecoderConfig& config, std::size_t slots) {
  std::size_t floats = 0;
  for (const LayerConfig& layer : config.layers) {
    offsets_.push_back(floats);
    floats += layer_floats(layer);
  }
  floats_ = Matrix<float>(slots, floats);
}

std::size_t state_bytes(const DecoderConfig& config) {
  std::size_t floats = 0;
  for (const LayerConfig& layer : config.layers) floats += layer_floats(layer);
  return floats * sizeof(float);
}

}  // namespace mmbatch
