#include "fusion/sliced/model_follower.h"

#include <utility>

namespace mmbatch {

ModelFollower::ModelFollower(std::shared_ptr<const Model> model, std::shared_ptr<const Slices> slices)
    : model_(std::move(model)), slices_(std::move(slices)) {
  // The decoder reads files that the model keeps open.
  if (const auto& decoder = model_->decoder())
    steps_.emplace(std::shared_ptr<const Decoder>(model_, decoder.get()));
}

void ModelFollower::follow(const MessageReader& message) {
  if (message.kind() == MessageKind::work)
    slices_->follow(message);
  else
    steps_.value().follow(message);
}

}  // namespace mmbatch
