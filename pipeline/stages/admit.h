#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <string>

#include "fusion/model.h"
#include "jobs/manifest/manifest.h"
#include "jobs/media/media.h"
#include "pipeline/graph/messages.h"

namespace mmbatch {

/// What makes answers comparable: part of every item's content key.
struct ModelIdentity {
  std::string fingerprint;
  std::string precision;
};

struct AdmitOptions {
  MediaLimits media;
  std::chrono::milliseconds item_timeout{0};  // from admission to answer; 0: none
};

/// Settles an item's settings and content key, and asks the store whether its answer is there already.
/// Thread-safe.
class Admit {
 public:
  Admit(const Model& model, const Manifest& manifest, GenerationOverrides command_line,
        ModelIdentity identity, ResultsStore& store, const AdmitOptions& options);

  Ticket operator()(ReadItem read);

 private:
  void admit(Admitted& admitted);

  const Model& model_;
  const Manifest& manifest_;
  GenerationSurroundings around_;
  ModelIdentity identity_;
  ResultsStore& store_;
  const AdmitOptions options_;
  std::atomic<std::uint64_t> next_number_{0};
};

}  // namespace mmbatch
