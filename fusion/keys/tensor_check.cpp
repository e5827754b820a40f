#include "fusion/keys/tensor_check.h"

#include "fusion/source/hollow_source.h"

namespace mmbatch {

void check_tensors(const ModelFiles& files) {
  const auto hollow = std::make_shared<ModelFiles>(files);
  hollow->weights = std::make_shared<const HollowSource>(files.weights);
  const Model model(hollow, files.weights->packed().value_or(Precision::f32));
}

}  // namespace mmbatch
