#pragma once

#include <memory>
#include <string>

#include "engine/base/threads.h"
#include "engine/parallel/slices.h"
#include "fusion/model.h"
#include "pipeline/run/run.h"

namespace mmbatch {

/// Says to the other processes that there is nothing more to do, when the one that leads comes to its end,
/// whatever the reason.
class Leader {
 public:
  explicit Leader(Communicator& processes) : processes_(processes) {}
  ~Leader();
  Leader(const Leader&) = delete;
  Leader& operator=(const Leader&) = delete;

 private:
  Communicator& processes_;
};

/// What the processes do that do not lead: load their slices of the models that they are told of, and compute
/// their share of every step. Returns when rank 0 ends.
void follow(const std::shared_ptr<Communicator>& processes, Arena& arena);

/// Whether processes that were started together compute one model. Those that run parts of a list do so only
/// when they are told: a launcher may have started each with a part of its own.
bool computes_together(const RunOptions& options);

/// The slices that the options ask for; null: the model is whole.  @throws UsageError
std::shared_ptr<const Slices> slices_for(const RunOptions& options,
                                         const std::shared_ptr<Communicator>& processes);

/// Threads of this process where nobody says: its share of the cores that it may use.
int threads_beside(const Communicator& processes);

/// Loads a model whole, or this process's slices of it while the others load theirs.
/// @throws FatalError also when another process could not, or found another checkpoint
std::shared_ptr<const Model> load_together(const std::shared_ptr<const ModelFiles>& files,
                                           Precision precision, const std::shared_ptr<const Slices>& slices);

/// What a model is computed in, as databases keep it: "int8", "int8, kv int8, 4 slices".
std::string computed_in(const Model& model, const RunOptions& options);

}  // namespace mmbatch
