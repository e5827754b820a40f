#pragma once

#include "fusion/model.h"
#include "jobs/results/store.h"
#include "pipeline/graph/messages.h"
#include "pipeline/watch/counters.h"

namespace mmbatch {

/// Turns outcomes into rows of the database. Used by one thread at a time.
class Store {
 public:
  Store(const Model& model, ResultsStore& results, Counters& counters)
      : model_(model), results_(results), counters_(counters) {}

  /// @throws DatabaseError
  void operator()(const Outcome& outcome);

 private:
  void add_completion(const Admitted& admitted, const Completion& completion, ItemResult& result);
  const Model& model_;
  ResultsStore& results_;
  Counters& counters_;
};

/// The text of an answer: without special tokens, cut before the first stop string.
std::string answer_text(const Tokenizer& tokenizer, const Answer& answer, const GenerationConfig& generation);

}  // namespace mmbatch
