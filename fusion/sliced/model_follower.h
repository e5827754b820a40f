#pragma once

#include <memory>
#include <optional>

#include "engine/decoder/sliced/step_message.h"
#include "fusion/model.h"

namespace mmbatch {

/// A process that does not lead, with its part of a model: computes what rank 0 asks for.
class ModelFollower {
 public:
  ModelFollower(std::shared_ptr<const Model> model, std::shared_ptr<const Slices> slices);
  /// @param message of kind step or work
  void follow(const MessageReader& message);

 private:
  std::shared_ptr<const Model> model_;
  std::shared_ptr<const Slices> slices_;
  std::optional<StepFollower> steps_;  // of a model that has a decoder
};

}  // namespace mmbatch
