#pragma once

#include <string>
#include <vector>

#include "engine/nn/linear.h"
#include "engine/nn/recurrent/time_convolution.h"
#include "engine/nn/scratch.h"

namespace mmbatch {

/// Which key head a value head goes with, of so many: neighbours share one, or they take them in turn, as
/// GGUF files store them.
enum class HeadSharing { neighbours, in_turn };
/// How a layer's decay is stored: as its logarithm, or as it is, which is below 0.
enum class StoredDecay { logarithm, itself };

/// Linear attention by the gated delta rule (arXiv 2412.06464) as a layer's mixer.
struct GatedDeltaNetConfig {
  std::size_t hidden = 0;
  std::size_t key_heads = 0;
  std::size_t value_heads = 0;  // a multiple of key_heads
  std::size_t key_dim = 0;      // of a head
  std::size_t value_dim = 0;    // of a head
  std::size_t taps = 4;         // of the convolution over time
  NormConfig norm;              // of each head's output, before the gate
  HeadSharing sharing = HeadSharing::neighbours;
  StoredDecay stored_decay = StoredDecay::logarithm;

  std::size_t key_width() const { return key_heads * key_dim; }
  std::size_t value_width() const { return value_heads * value_dim; }
  /// Queries, keys and values side by side.
  std::size_t channels() const { return 2 * key_width() + value_width(); }
};

/// Names of the stored parts, without ".weight"; decay and decay_bias are whole names.
struct GatedDeltaNetNames {
  std::string qkv, gate, beta, alpha, convolution, norm, output;
  std::string decay, decay_bias;  // A_log and dt_bias, [value_heads]
};

class GatedDeltaNet {
 public:
  GatedDeltaNet(const Weights& weights, const GatedDeltaNetConfig& config, const GatedDeltaNetNames& names);

  /// Floats of a sequence's state: of the convolution, then of the value heads.
  static std::size_t state_floats(const GatedDeltaNetConfig& config);
  /// @param y [rows, hidden], stored or added to as `then` says; may be what is read
  void forward(const LayerInput& x, MatrixView<float> y, std::span<const RecurrentSpan> spans,
               const Linear::Then& then, Scratch& scratch) const;
  std::size_t bytes() const;

 private:
  /// The rows of one pass.
  struct Pass {
    MatrixView<float> mixed;  // [rows, channels] behind the convolution
    MatrixView<float> rates;  // [rows, 2 · value_heads]: beta and alpha as projected, then beta and decay
    MatrixView<float> out;    // [rows, value_width]
  };
  void run_head(const Pass& pass, const RecurrentSpan& span, std::size_t head) const;

  GatedDeltaNetConfig config_;
  Linear qkv_gate_, rates_, output_;
  TimeConvolution convolution_;
  std::vector<float> decay_, decay_bias_;  // [value_heads]; decay_ = -exp(A_log)
  Norm norm_;
};

}  // namespace mmbatch
