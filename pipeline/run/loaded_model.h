#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "engine/base/threads.h"
#include "fusion/model.h"
#include "jobs/manifest/manifest.h"
#include "pipeline/run/run.h"

namespace mmbatch {

/// The model of a run, kept from manifest to manifest.
class LoadedModel {
 public:
  /// The model at a place, loaded unless it is there already.
  /// @throws FatalError: a job that it cannot do, or what is wrong with the checkpoint
  const Model& in(const ModelPlace& place, const Manifest& manifest, const RunOptions& options, Arena& arena);
  /// What loading took.
  double seconds() const { return seconds_; }
  /// Why its precision is what it is; empty: it was named.
  const std::string& precision_reason() const { return choice_.reason; }

 private:
  std::shared_ptr<const Model> model_;
  ModelPlace place_;
  double seconds_ = 0;
  PrecisionChoice choice_;
};

}  // namespace mmbatch
