#include "engine/nn/moe/mixture_of_experts.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

/// The places of one expert's tokens.
struct Load {
  std::size_t expert, first, count;
};

/// Tokens put together by expert, in their order: which row each place's is, and where each choice went.
struct Dispatch {
  std::vector<std::uint32_t> rows;      // [places]
  std::vector<std::uint32_t> place_of;  // [rows · top_k], as the choices
  std::vector<Load> loads;              // of experts that somebody goes to, by their numbers
};

Dispatch dispatch(const std::vector<ChosenExpert>& chosen, std::size_t top_k, std::size_t experts) {
  std::vector<std::uint32_t> next(experts + 1, 0);
  for (const ChosenExpert& choice : chosen) ++next[choice.expert + 1];
  for (std::size_t e = 0; e < experts; ++e) next[e + 1] += next[e];
  Dispatch result;
  for (std::size_t e = 0; e < experts; ++e) {
    if (next[e + 1] > next[e]) result.loads.push_back({e, next[e], next[e + 1] - next[e]});
  }
  result.rows.resize(chosen.size());
  result.place_of.resize(chosen.size());
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const std::uint32_t place = next[chosen[i].expert]++;
    result.rows[place] = static_cast<std::uint32_t>(i / top_k);
    result.place_of[i] = place;
  }
  return result;
}

float sigmoid(float x) {
  return static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(x))));
}

float dot(const float* a, const float* b, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return static_cast<float>(sum);
}

}  // namespace

MixtureOfExperts::MixtureOfExperts(const Weights& weights, const MixtureOfExpertsConfig& config,
                                   const MixtureOfExpertsNames& names)
    : config_(config),
      router_(weights, config.router, names.router),
      experts_(load_experts(weights, config.experts, names.experts)) {
  assert(config.router.experts == config.experts.experts && config.router.hidden == config.experts.hidden);
  if (config.shared) shared_ = FeedForward(weights, *config.shared, names.shared);
  if (config.shared_gate == SharedGate::sigmoid)
    shared_gate_ = to_floats(weights.tensor(names.shared_gate + ".weight", {1, config.experts.hidden}));
}

void MixtureOfExperts::forward(const LayerInput& input, MatrixView<float> y, const Linear::Then& then,
                               Scratch& scratch) const {
  assert(!then.activation);
  MatrixView<const float> x = input.x;
  if (input.norm != nullptr) {
    const MatrixView<float> normed = scratch.take(Scratch::normed, x.rows, x.cols);
    input.norm->forward(x, normed);
    x = normed;
  }
  std::vector<ChosenExpert> chosen;
  router_.route(config_.router.norm ? input.x : x, chosen);
  const std::size_t top_k = config_.router.top_k;
  const Dispatch to = dispatch(chosen, top_k, experts_.size());
  std::vector<RowGroup> gate_up, down;
  for (const Load& load : to.loads) {
    const Expert& expert = experts_[load.expert];
    const auto bias = [](const std::vector<float>& b) { return b.empty() ? nullptr : b.data(); };
    gate_up.push_back({&expert.gate_up, bias(expert.gate_up_bias), load.first, load.count});
    down.push_back({&expert.down, bias(expert.down_bias), load.first, load.count});
  }
  const MatrixView<float> wide = scratch.take(Scratch::widened, chosen.size(), config_.experts.ffn);
  const MatrixView<float> answers = scratch.take(Scratch::answers, chosen.size(), y.cols);
  multiply_grouped_gated({x, to.rows}, gate_up, wide, config_.gating);
  multiply_grouped({wide}, down, answers);

  MatrixView<float> shared;
  if (config_.shared) {
    shared = scratch.take(Scratch::shared, y.rows, y.cols);
    shared_.forward({x}, shared, {}, scratch);
  }
  parallel_rows(y.rows, [&](std::size_t r) {
    thread_local std::vector<float> sum;
    sum.assign(y.cols, 0.0f);
    for (std::size_t i = r * top_k; i < (r + 1) * top_k; ++i)
      simd().add_scaled(sum.data(), chosen[i].weight, answers.row(to.place_of[i]), y.cols);
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

std::size_t MixtureOfExperts::bytes() const {
  std::size_t total = router_.bytes() + shared_gate_.size() * sizeof(float);
  if (config_.shared) total += shared_.bytes();
  for (const Expert& expert : experts_) {
    total += expert.gate_up.bytes() + expert.down.bytes() +
             (expert.gate_up_bias.size() + expert.down_bias.size()) * sizeof(float);
  }
  return total;
}

NormReaders MixtureOfExperts::readers(const Weights& weights, const MixtureOfExpertsConfig& config,
                                      const MixtureOfExpertsNames& names) {
  NormReaders readers;
  if (!config.router.norm)
    readers.plain.push_back(weights.source.tensor(names.router.projection + ".weight"));
  for (ExpertParts& parts : expert_parts(weights, config.experts, names.experts)) {
    readers.packed.push_back(std::move(parts.gate));
    readers.packed.push_back(std::move(parts.up));
  }
  if (config.shared) {
    if (config.shared->kind == FeedForwardKind::gated)
      readers.packed.emplace_back(weights.source.tensor(names.shared.gate + ".weight"));
    readers.packed.emplace_back(weights.source.tensor(names.shared.up + ".weight"));
  }
  if (config.shared_gate == SharedGate::sigmoid)
    readers.plain.push_back(weights.source.tensor(names.shared_gate + ".weight"));
  return readers;
}

}  // namespace mmbatch
