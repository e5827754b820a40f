#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/kernels/product/grouped_product.h"
#include "engine/nn/feed_forward.h"
#include "engine/nn/moe/expert_weights.h"
#include "engine/nn/moe/router.h"

namespace mmbatch {

/// What the answer of an expert that every token goes to is multiplied with: nothing, or the sigmoid of a
/// product with the token's row.
enum class SharedGate { none, sigmoid };

struct MixtureOfExpertsConfig {
  RouterConfig router;
  ExpertsConfig experts;
  Gating gating;
  std::optional<FeedForwardConfig> shared = {};  // an expert that every token goes to
  SharedGate shared_gate = SharedGate::none;
};

/// Names of the stored parts, without ".weight" unless said otherwise.
struct MixtureOfExpertsNames {
  RouterNames router;
  ExpertNames experts;
  FeedForwardNames shared;
  std::string shared_gate;  // its .weight [1, hidden]

  /// The same names, each changed; empty ones stay so.
  template <class Change>
  MixtureOfExpertsNames changed(const Change& change) const {
    const auto name = [&](const std::string& n) { return n.empty() ? n : change(n); };
    return {.router = {name(router.projection), name(router.correction), name(router.per_expert_scale),
                       name(router.norm_scale)},
            .experts = {name(experts.gate), name(experts.up), name(experts.down), name(experts.all_gate_up),
                        name(experts.all_down), name(experts.all_gate_up_bias), name(experts.all_down_bias)},
            .shared = {name(shared.gate), name(shared.up), name(shared.down)},
            .shared_gate = name(shared_gate)};
  }
};

/// The experts of a layer that are loaded, all or some of them, and the shared expert if there is one. Tokens
/// are put together by expert, so that each expert's weights are read once a pass; a token's result does not
/// depend on who else goes there.
class ExpertGroup {
 public:
  /// @throws ModelError
  ExpertGroup(const Weights& weights, const MixtureOfExpertsConfig& config,
              const MixtureOfExpertsNames& names);

  /// The sum of weight · expert(x) over the chosen ones that are loaded, by their numbers, and the shared
  /// expert's answer.
  /// @param x [rows, hidden], normalised   @param chosen [rows · top_k] of all experts, as Router gives them
  /// @param y [rows, hidden], stored or added to as `then` says; may be what is read
  void forward(MatrixView<const float> x, const std::vector<ChosenExpert>& chosen, MatrixView<float> y,
               const Linear::Then& then, Scratch& scratch) const;
  std::size_t bytes() const;

 private:
  MixtureOfExpertsConfig config_;
  std::vector<Expert> experts_;  // config_.experts.own() of them
  FeedForward shared_;
  std::vector<float> shared_gate_;  // [hidden]
};

}  // namespace mmbatch
