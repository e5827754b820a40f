#include "engine/nn/moe/mixture_of_experts.h"

#include <cassert>
#include <utility>

namespace mmbatch {

MixtureOfExperts::MixtureOfExperts(const Weights& weights, const MixtureOfExpertsConfig& config,
                                   const MixtureOfExpertsNames& names)
    : router_(weights, config.router, names.router), experts_(weights, config, names) {
  assert(config.router.experts == config.experts.experts && config.router.hidden == config.experts.hidden);
}

RoutedRows routed(const Router& router, const LayerInput& input, Scratch& scratch) {
  RoutedRows rows{input.x, {}};
  if (input.norm != nullptr) {
    const MatrixView<float> normed = scratch.take(Scratch::normed, input.x.rows, input.x.cols);
    input.norm->forward(input.x, normed);
    rows.x = normed;
  }
  router.route(router.has_norm() ? input.x : rows.x, rows.chosen);
  return rows;
}

void MixtureOfExperts::forward(const LayerInput& input, MatrixView<float> y, const Linear::Then& then,
                               Scratch& scratch) const {
  const RoutedRows rows = routed(router_, input, scratch);
  experts_.forward(rows.x, rows.chosen, y, then, scratch);
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
