#include "engine/nn/moe/router.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

#include "engine/kernels/rows.h"

namespace mmbatch {
namespace {

/// The first of the largest that are not taken yet; what is not a number is the smallest.
std::size_t take_largest(const float* scores, std::vector<bool>& taken) {
  const auto rank = [&](std::size_t i) { return std::isnan(scores[i]) ? -INFINITY : scores[i]; };
  std::size_t best = taken.size();
  for (std::size_t i = 0; i < taken.size(); ++i) {
    if (!taken[i] && (best == taken.size() || rank(i) > rank(best))) best = i;
  }
  assert(best < taken.size());
  taken[best] = true;
  return best;
}

/// softmax(x), in double, so that the sum of many experts keeps its digits.
void softmax(float* x, std::size_t count) {
  const float most = *std::max_element(x, x + count);
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += std::exp(static_cast<double>(x[i]) - most);
  for (std::size_t i = 0; i < count; ++i)
    x[i] = static_cast<float>(std::exp(static_cast<double>(x[i]) - most) / sum);
}

/// Marks the experts of all groups but the best.
void leave_out_groups(const RouterConfig& config, const std::vector<float>& ranks, std::vector<bool>& taken) {
  const std::size_t width = config.experts / config.groups;
  std::vector<float> sums(config.groups);
  for (std::size_t g = 0; g < config.groups; ++g) {
    const float* group = ranks.data() + g * width;
    std::vector<bool> seen(width, false);
    for (std::size_t i = 0; i < std::min<std::size_t>(2, width); ++i)
      sums[g] += group[take_largest(group, seen)];
  }
  std::vector<bool> kept(config.groups, false);
  for (std::size_t i = 0; i < config.top_groups; ++i) take_largest(sums.data(), kept);
  for (std::size_t i = 0; i < ranks.size(); ++i) taken[i] = !kept[i / width];
}

/// In columns of few experts, so that one token's product is the work of several threads.
Linear projection_of(const Weights& weights, const RouterConfig& config, const RouterNames& names) {
  constexpr std::size_t kColumns = 32;
  const TensorView stored = weights.tensor(names.projection + ".weight", {config.experts, config.hidden});
  std::vector<std::shared_ptr<const PackedTensor>> parts;
  for (std::size_t first = 0; first < config.experts; first += kColumns) {
    const std::size_t count = std::min(kColumns, config.experts - first);
    parts.push_back(PackedTensor::pack(stored.row_range(first, count), Precision::f32));
  }
  std::vector<float> bias;
  if (config.bias == Bias::present)
    bias = to_floats(weights.tensor(names.projection + ".bias", {config.experts}));
  return Linear(PackedMatrix(std::move(parts)), std::move(bias));
}

}  // namespace

float sigmoid(float x) {
  return static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(x))));
}

Router::Router(const Weights& weights, const RouterConfig& config, const RouterNames& names)
    : config_(config), projection_(projection_of(weights, config, names)) {
  assert(config.top_k > 0 && config.experts % config.groups == 0 && config.top_groups <= config.groups &&
         config.top_k <= config.experts / config.groups * config.top_groups);
  if (config.norm) {
    std::vector<float> weight = to_floats(weights.tensor(names.norm_scale, {config.hidden}));
    const float root = 1.0f / std::sqrt(static_cast<float>(config.hidden));
    for (float& w : weight) w *= root;
    norm_ = Norm(std::move(weight), *config.norm);
  }
  if (!names.correction.empty()) correction_ = to_floats(weights.tensor(names.correction, {config.experts}));
  if (!names.per_expert_scale.empty())
    per_expert_scale_ = to_floats(weights.tensor(names.per_expert_scale, {config.experts}));
}

void Router::choose(float* logits, ChosenExpert* chosen) const {
  const std::size_t experts = config_.experts, top_k = config_.top_k;
  if (config_.scores == RouterScores::sigmoid) std::transform(logits, logits + experts, logits, sigmoid);
  // softmax keeps the order, but for what rounding makes equal: logits are what is ranked.
  std::vector<float> ranks(logits, logits + experts);
  for (std::size_t i = 0; i < correction_.size(); ++i) ranks[i] += correction_[i];
  std::vector<bool> taken(experts, false);
  if (config_.top_groups < config_.groups) leave_out_groups(config_, ranks, taken);
  if (config_.scores == RouterScores::softmax) softmax(logits, experts);

  std::vector<float> weights(top_k);
  for (std::size_t i = 0; i < top_k; ++i) {
    const std::size_t best = take_largest(ranks.data(), taken);
    chosen[i].expert = static_cast<std::uint32_t>(best);
    weights[i] = logits[best];
  }
  if (config_.scores == RouterScores::softmax_top_k) softmax(weights.data(), top_k);
  float sum = 0;
  for (const float weight : weights) sum += weight;
  if (config_.sum == RouterSum::as_it_is) sum = 1;
  for (std::size_t i = 0; i < top_k; ++i) {
    chosen[i].weight = weights[i] / sum * config_.scale;
    if (!per_expert_scale_.empty()) chosen[i].weight *= per_expert_scale_[chosen[i].expert];
  }
  std::sort(chosen, chosen + top_k,
            [](const ChosenExpert& a, const ChosenExpert& b) { return a.expert < b.expert; });
}

void Router::route(MatrixView<const float> x, std::vector<ChosenExpert>& chosen) const {
  chosen.resize(x.rows * config_.top_k);
  Matrix<float> logits(x.rows, config_.experts);
  projection_.forward(LayerInput{x, config_.norm ? &norm_ : nullptr}, logits.view());
  parallel_rows(x.rows, [&](std::size_t r) { choose(logits.row(r), &chosen[r * config_.top_k]); });
}

}  // namespace mmbatch
