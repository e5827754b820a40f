#pragma once

#include <cstddef>

namespace mmbatch {

/// Consecutive tokens of one sequence and one head of the gated delta rule (arXiv 2412.06464): for each token
///   S = exp(decay) · S;  S = S + key · (beta · (value - Sᵀ · key))ᵀ;  out = Sᵀ · query
/// The widths of keys and values are whole vectors (kLane floats): what fills them up is zeros.
struct DeltaRule {
  static constexpr std::size_t kLane = 16;
  /// Tokens that the chunk form takes at most.
  static constexpr std::size_t kChunk = 64;

  std::size_t tokens = 0;
  std::size_t key_width = 0;     // a multiple of kLane
  std::size_t value_width = 0;   // a multiple of kLane
  const float* query = nullptr;  // [tokens, key_width]
  const float* key = nullptr;    // [tokens, key_width]
  const float* value = nullptr;  // [tokens, value_width]
  const float* decay = nullptr;  // [tokens], the logarithm: at most 0
  const float* beta = nullptr;   // [tokens]
  float* state = nullptr;        // S, [key_width, value_width], in place
  float* out = nullptr;          // [tokens, value_width]

  /// Floats of scratch that the chunk form needs.
  static std::size_t scratch(std::size_t key_width, std::size_t value_width) {
    return kChunk * (2 * key_width + value_width + 2 * kChunk);
  }
};

/// One token of a causal convolution over each channel by itself: out = Σ weight[tap] · input[tap], and
/// SiLU of it where `activated`.
struct CausalConvolution {
  static constexpr std::size_t kMostTaps = 16;

  std::size_t channels = 0;
  std::size_t taps = 0;
  const float* weight = nullptr;       // [taps, channels], that of the token itself last
  const float* bias = nullptr;         // [channels], or null
  const float* input[kMostTaps] = {};  // of each tap, [channels]; null: before the start, zeros
  bool activated = false;
  float* out = nullptr;  // [channels]
};

}  // namespace mmbatch
