#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/matrix.h"
#include "engine/decoder/decoder_config.h"

namespace mmbatch {

/// States of the recurrent layers of many sequences, allocated once: a slot holds those of all layers behind
/// one prefix of a sequence. Slots are numbers; who owns which is the scheduler's business.
class StatePool {
 public:
  StatePool(const DecoderConfig& config, std::size_t slots);

  /// A layer's state in a slot; null for slot -1.
  float* state(std::size_t layer, std::int32_t slot) {
    return slot < 0 ? nullptr : floats_.row(static_cast<std::size_t>(slot)) + offsets_[layer];
  }
  std::size_t slots() const { return floats_.rows(); }
  std::size_t bytes() const { return floats_.bytes(); }

 private:
  std::vector<std::size_t> offsets_;  // of the layers in a slot
  Matrix<float> floats_;              // [slots, floats of a slot]
};

/// Bytes that the states of one sequence take; 0 without recurrent layers.
std::size_t state_bytes(const DecoderConfig& config);

}  // namespace mmbatch
