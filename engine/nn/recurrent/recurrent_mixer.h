#pragma once

#include <variant>

#include "engine/nn/recurrent/gated_delta_net.h"
#include "engine/nn/recurrent/short_convolution.h"

namespace mmbatch {

/// What a recurrent layer mixes tokens with, instead of attention.
using RecurrentConfig = std::variant<GatedDeltaNetConfig, ShortConvolutionConfig>;
using RecurrentNames = std::variant<std::monostate, GatedDeltaNetNames, ShortConvolutionNames>;

/// Floats of a sequence's state in such a layer.
std::size_t state_floats(const RecurrentConfig& config);

/// Mixes tokens through a state of fixed size, whatever a sequence's length.
class RecurrentMixer {
 public:
  /// @param names of the same kind as `config`  @throws ModelError
  RecurrentMixer(const Weights& weights, const RecurrentConfig& config, const RecurrentNames& names);

  /// @param y [rows, hidden], stored or added to as `then` says; may be what is read
  void forward(const LayerInput& x, MatrixView<float> y, std::span<const RecurrentSpan> spans,
               const Linear::Then& then, Scratch& scratch) const {
    std::visit([&](const auto& mixer) { mixer.forward(x, y, spans, then, scratch); }, mixer_);
  }
  std::size_t bytes() const {
    return std::visit([](const auto& mixer) { return mixer.bytes(); }, mixer_);
  }

 private:
  std::variant<GatedDeltaNet, ShortConvolution> mixer_;
};

/// Names of the linear layers that read a layer's first norm, without ".weight".
std::vector<std::string> readers_of_norm(const RecurrentNames& names);

}  // namespace mmbatch
