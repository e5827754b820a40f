#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/nn/linear.h"

namespace mmbatch {

/// How gate and up lie in a tensor that holds both: one half behind the other, or row by row in turn.
enum class GateUpOrder { halves, interleaved };

struct ExpertsConfig {
  std::size_t hidden = 0;
  std::size_t ffn = 0;  // of each expert
  std::size_t experts = 0;
  /// Those of them that are loaded: `count` from `first` on, or all where count is 0.
  std::size_t first = 0, count = 0;
  GateUpOrder order = GateUpOrder::halves;
  Bias bias = Bias::absent;

  std::size_t own() const { return count == 0 ? experts - first : count; }
};

/// Where experts are stored. Whole models are published with tensors one by one or with all experts in one;
/// the former is looked for first, and is how a packed folder names them. Biases are in one tensor where
/// experts are, else beside each weight.
struct ExpertNames {
  /// Without ".weight"; "{expert}" is the expert's number: "mlp.experts.{expert}.gate_proj".
  std::string gate, up, down;
  /// All experts: [experts, 2 · ffn, hidden] and [experts, hidden, ffn], or both with the last two dimensions
  /// exchanged. Full names; empty: this family never stores them so.
  std::string all_gate_up, all_down;
  /// [experts, 2 · ffn] and [experts, hidden]
  std::string all_gate_up_bias, all_down_bias;
};

/// One expert's matrices, wherever they are stored: gate and up [ffn, hidden], down [hidden, ffn].
struct ExpertParts {
  MatrixPart gate, up, down;
};

/// Of the experts that are loaded.
/// @throws ModelError when a tensor is missing or has none of the shapes it may have
std::vector<ExpertParts> expert_parts(const Weights& weights, const ExpertsConfig& config,
                                      const ExpertNames& names);

/// The name of one expert's tensor by a pattern.
std::string of_expert(const std::string& pattern, std::size_t expert);

/// One expert, ready to multiply.
struct Expert {
  PackedMatrix gate_up;  // of two parts
  PackedMatrix down;
  std::vector<float> gate_up_bias, down_bias;  // [2 · ffn], [hidden]; empty: none
};

/// Packs those experts, one after the other.  @throws ModelError
std::vector<Expert> load_experts(const Weights& weights, const ExpertsConfig& config,
                                 const ExpertNames& names);

}  // namespace mmbatch
