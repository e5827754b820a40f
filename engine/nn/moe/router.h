#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/nn/linear.h"

namespace mmbatch {

/// How a token's logits become the weights of its experts.
enum class RouterScores {
  softmax,        // over all experts; then the largest are chosen
  softmax_top_k,  // the largest logits are chosen; then over these
  sigmoid,        // of each; then the largest are chosen
};

/// Whether the weights of the chosen experts are divided by their sum.
enum class RouterSum { as_it_is, one };

struct RouterConfig {
  std::size_t hidden = 0;
  std::size_t experts = 0;
  std::size_t top_k = 1;  // experts that a token goes to
  RouterScores scores = RouterScores::softmax;
  RouterSum sum = RouterSum::as_it_is;
  Bias bias = Bias::absent;
  float scale = 1.0f;  // of the weights, behind everything else
  /// It reads the layer's stream through an RMSNorm of its own, not what the experts read.
  std::optional<NormConfig> norm = {};
  /// The number of groups of neighbouring experts, of which the `top_groups` with the largest sums of their
  /// two best scores are looked at (arXiv 2412.19437).
  std::size_t groups = 1;
  std::size_t top_groups = 1;
};

/// Names of the stored parts; empty: not there.
struct RouterNames {
  std::string projection;        // its .weight [experts, hidden] and, with a bias, its .bias [experts]
  std::string correction;        // [experts], added to the scores that experts are chosen by
  std::string per_expert_scale;  // [experts], which an expert's weight is multiplied with
  std::string norm_scale = {};   // [hidden], of its norm, whose weight is this times hidden^-½
};

/// An expert that a token goes to, and what its answer counts.
struct ChosenExpert {
  std::uint32_t expert = 0;
  float weight = 0;
};

/// 1 / (1 + e^-x), in double.
float sigmoid(float x);

/// Which experts a token goes to (arXiv 1701.06538). Always in float32, so that rounding weights does not
/// send tokens elsewhere; of equal scores the expert with the lower number is taken.
class Router {
 public:
  Router() = default;
  /// @throws ModelError when a tensor is missing or has another shape
  Router(const Weights& weights, const RouterConfig& config, const RouterNames& names);

  /// The experts of each row, top_k a row, by their numbers.
  /// @param x [rows, hidden], with a norm of its own not normalised   @param chosen [rows · top_k]
  void route(MatrixView<const float> x, std::vector<ChosenExpert>& chosen) const;
  /// Whether it reads rows through a norm of its own.
  bool has_norm() const { return config_.norm.has_value(); }
  std::size_t bytes() const { return projection_.bytes(); }

 private:
  /// @param logits [experts], used up   @param chosen [top_k]
  void choose(float* logits, ChosenExpert* chosen) const;

  RouterConfig config_;
  Linear projection_;
  Norm norm_;  // with config_.norm
  std::vector<float> correction_;
  std::vector<float> per_expert_scale_;
};

}  // namespace mmbatch
