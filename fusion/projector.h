#pragma once

#include <vector>

#include "engine/nn/linear.h"
#include "fusion/model_spec.h"

namespace mmbatch {

/// Brings image features to the decoder's width.
class Projector {
 public:
  /// @throws ModelError
  Projector(const Weights& weights, const ProjectorConfig& config);

  /// @param features [tokens, vision hidden]  @return [tokens, hidden]
  Matrix<float> forward(MatrixView<const float> features) const;
  std::size_t bytes() const;

 private:
  ProjectorConfig config_;
  std::vector<Linear> layers_;
};

}  // namespace mmbatch
