#include "engine/nn/moe/expert_group.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

/// The places of one expert's tokens.
struct Load {
  std::size_t expert, first, count;  // the expert among those that are loaded
};

/// Tokens put together by expert, in their order: which row each place's is, and where each choice went.
struct Dispatch {
  static constexpr std::uint32_t kElsewhere = UINT32_MAX;  // to an expert that is not loaded

  std::vector<std::uint32_t> rows;      // [places]
  std::vector<std::uint32_t> place_of;  // [rows · top_k], as the choices
  std::vector<Load> loads;              // of experts that somebody goes to, by their numbers
};

Dispatch dispatch(const std::vector<ChosenExpert>& chosen, std::size_t top_k, const ExpertsConfig& experts) {
  const std::size_t own = experts.own();
  const auto here = [&](const ChosenExpert& choice) {
    return choice.expert >= experts.first && choice.expert < experts.first + own;
  };
  std::vector<std::uint32_t> next(own + 1, 0);
  for (const ChosenExpert& choice : chosen)
    if (here(choice)) ++next[choice.expert - experts.first + 1];
  for (std::size_t e = 0; e < own; ++e) next[e + 1] += next[e];
  Dispatch result;
  for (std::size_t e = 0; e < own; ++e) {
    if (next[e + 1] > next[e]) result.loads.push_back({e, next[e], next[e + 1] - next[e]});
  }
  result.rows.resize(next[own]);
  result.place_of.assign(chosen.size(), Dispatch::kElsewhere);
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (!here(chosen[i])) continue;
    const std::uint32_t place = next[chosen[i].expert - experts.first]++;
    result.rows[place] = static_cast<std::uint32_t>(i / top_k);
    result.place_of[i] = place;
  }
  return result;
}

float dot(const float* a, const float* b, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return static_cast<float>(sum);
}

}  // namespace

ExpertGroup::ExpertGroup(const Weights& weights, const MixtureOfExpertsConfig& config,
                         const MixtureOfExpertsNames& names)
    : config_(config), experts_(load_experts(weights, config.experts, names.experts)) {
  if (config.shared) shared_ = FeedForward(weights, *config.shared, names.shared);
  if (config.shared_gate == SharedGate::sigmoid)
    shared_gate_ = to_floats(weights.tensor(names.shared_gate + ".weight", {1, config.experts.hidden}));
}

void ExpertGroup::forward(MatrixView<const float> x, const std::vector<ChosenExpert>& chosen,
                          MatrixView<float> y, const Linear::Then& then, Scratch& scratch) const {
  assert(!then.activation);
  const std::size_t top_k = config_.router.top_k;
  const Dispatch to = dispatch(chosen, top_k, config_.experts);
  std::vector<RowGroup> gate_up, down;
  for (const Load& load : to.loads) {
    const Expert& expert = experts_[load.expert];
    const auto bias = [](const std::vector<float>& b) { return b.empty() ? nullptr : b.data(); };
    gate_up.push_back({&expert.gate_up, bias(expert.gate_up_bias), load.first, load.count});
    down.push_back({&expert.down, bias(expert.down_bias), load.first, load.count});
  }
  const MatrixView<float> wide = scratch.take(Scratch::widened, to.rows.size(), config_.experts.ffn);
  const MatrixView<float> answers = scratch.take(Scratch::answers, to.rows.size(), y.cols);
  if (!to.rows.empty()) {
    multiply_grouped_gated({x, to.rows}, gate_up, wide, config_.gating);
    multiply_grouped({wide}, down, answers);
  }

  MatrixView<float> shared;
  if (config_.shared) {
    shared = scratch.take(Scratch::shared, y.rows, y.cols);
    shared_.forward({x}, shared, {}, scratch);
  }
  parallel_rows(y.rows, [&](std::size_t r) {
    thread_local std::vector<float> sum;
    sum.assign(y.cols, 0.0f);
    for (std::size_t i = r * top_k; i < (r + 1) * top_k; ++i) {
      if (to.place_of[i] != Dispatch::kElsewhere)
        simd().add_scaled(sum.data(), chosen[i].weight, answers.row(to.place_of[i]), y.cols);
    }
    if (config_.shared) {
      const bool gated = config_.shared_gate == SharedGate::sigmoid;
      const float factor = gated ? sigmoid(dot(x.row(r), shared_gate_.data(), x.cols)) : 1.0f;
      simd().add_scaled(sum.data(), factor, shared.row(r), y.cols);
    }
    if (then.accumulate)
      simd().add(y.row(r), sum.data(), y.cols);
    else
      std::copy(sum.begin(), sum.end(), y.row(r));
  });
}

std::size_t ExpertGroup::bytes() const {
  std::size_t total = shared_gate_.size() * sizeof(float);
  if (config_.shared) total += shared_.bytes();
  for (const Expert& expert : experts_) {
    total += expert.gate_up.bytes() + expert.down.bytes() +
             (expert.gate_up_bias.size() + expert.down_bias.size()) * sizeof(float);
  }
  return total;
}

}  // namespace mmbatch
