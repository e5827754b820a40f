#include "fusion/projector.h"

#include <utility>

namespace mmbatch {

Projector::Projector(const Weights& weights, const ProjectorConfig& config) : config_(config) {
  std::size_t in = config.in;
  for (const StoredLinear& layer : config.layers) {
    layers_.emplace_back(weights, layer, in, config.bias);
    in = layer.out;
  }
}

std::size_t Projector::bytes() const {
  std::size_t total = 0;
  for (const Linear& layer : layers_) total += layer.bytes();
  return total;
}

Matrix<float> Projector::forward(MatrixView<const float> features) const {
  Matrix<float> current;
  MatrixView<const float> input = features;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    Matrix<float> next(input.rows, layers_[i].out());
    const bool last = i + 1 == layers_.size();
    layers_[i].forward(input, next.view(), {last ? std::nullopt : config_.activation, false});
    current = std::move(next);
    input = current.view();
  }
  if (config_.scale != 1.0f) {
    for (std::size_t i = 0; i < current.rows() * current.cols(); ++i) current.data()[i] *= config_.scale;
  }
  return current;
}

}  // namespace mmbatch
