#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "fusion/model.h"
#include "jobs/manifest/manifest.h"
#include "pipeline/graph/messages.h"
#include "pipeline/stages/images/image_files.h"
#include "pipeline/watch/timeline.h"

namespace mmbatch {

/// What makes answers comparable: part of every item's content key.
struct ModelIdentity {
  std::string fingerprint;
  std::string precision;
};

struct AdmitOptions {
  GenerationOverrides command_line;
  ImageBudget image_budget = {};  // of the command line
  ModelIdentity identity;
  std::tm now{};                              // for chat templates
  std::chrono::milliseconds item_timeout{0};  // from admission to answer; 0: none
};

/// Makes an item's ticket: its settings, the digests of its images, its content key; and asks the store
/// whether its answer is there already. Thread-safe.
class Admit {
 public:
  /// All of them outlive this.
  struct Access {
    ResultsStore& results;
    ImageFiles& images;
    Timeline& timeline;
  };
  Admit(const Model& model, const Manifest& manifest, AdmitOptions options, const Access& access);

  /// @throws FatalError
  Admission operator()(const ReadItem& read);

 private:
  using End = decltype(Outcome::end);
  std::shared_ptr<Ticket> begin_ticket(const ReadItem& read);
  std::optional<End> complete(Ticket& ticket);
  std::shared_ptr<const ReasoningFormat> reasoning_of(const Item& item) const;
  std::string key_of(const Ticket& ticket) const;

  const Model& model_;
  const Manifest& manifest_;
  const AdmitOptions options_;
  const std::set<Task> able_;  // what the model can be asked
  const SettingsOfJobs settings_;
  std::vector<TurnFormat> formats_;  // of each job, as the next
  std::vector<std::shared_ptr<const ReasoningFormat>> reasoning_;
  const Access access_;
  std::atomic<std::uint64_t> next_number_{0};
};

}  // namespace mmbatch
