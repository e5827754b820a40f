#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/matrix.h"

namespace mmbatch {

/// How rotary frequencies are stretched for contexts longer than trained on.
enum class RopeScaling { none, linear, dynamic_ntk, llama3 };

/// Rotary position embedding (arXiv 2104.09864) over pairs (i, i + head_dim / 2).
struct RopeConfig {
  double theta = 10000.0;
  RopeScaling scaling = RopeScaling::none;
  double factor = 1.0;                    // linear, dynamic_ntk, llama3
  double low_freq_factor = 1.0;           // llama3
  double high_freq_factor = 4.0;          // llama3
  std::size_t original_positions = 8192;  // dynamic_ntk, llama3
  bool operator==(const RopeConfig&) const = default;
};

/// head_dim / 2 angular frequencies.
/// @param total_tokens dynamic_ntk only: the length that the sequence may reach.
std::vector<float> rope_frequencies(const RopeConfig& config, std::size_t head_dim,
                                    std::size_t total_tokens = 0);

/// Cosines and sines of the rows of one step, made once and used by all layers.
struct RopeAngles {
  Matrix<float> cosine;  // [rows, head_dim / 2]
  Matrix<float> sine;    // [rows, head_dim / 2]
};

RopeAngles rope_angles(std::span<const float> frequencies, std::span<const std::size_t> positions);

}  // namespace mmbatch
