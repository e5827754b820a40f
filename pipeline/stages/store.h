#pragma once

#include "fusion/model.h"
#include "jobs/results/store.h"
#include "pipeline/constraint/constraints.h"
#include "pipeline/graph/messages.h"
#include "pipeline/watch/counters.h"
#include "pipeline/watch/timeline.h"

namespace mmbatch {

/// Turns outcomes into rows of the database. Used by one thread at a time.
class Store {
 public:
  Store(const Model& model, ResultsStore& results, Counters& counters, Timeline& timeline)
      : model_(model), results_(results), counters_(counters), timeline_(timeline) {}

  /// @throws FatalError: the database, or what else keeps the outcome from being stored
  void operator()(const Outcome& outcome);

 private:
  void store(const Outcome& outcome, const Failed& failed);
  void store(const Outcome& outcome, const Answered& answered);
  void store(const Outcome& outcome, const KnownBefore& known);
  void store(const Outcome&, const Abandoned&) {}
  /// Where the answers say something is, of a task that asks for it.
  void add_regions(const PictureFrame& picture, ItemResult& result) const;
  /// @return what is wrong with the answers, if anything
  std::optional<AnswerCheck::Fault> add_completion(const Ticket& ticket, const Completion& completion,
                                                   ItemResult& result);

  const Model& model_;
  ResultsStore& results_;
  Counters& counters_;
  Timeline& timeline_;
  AnswerCheck check_;
};

/// The text of an answer: without special tokens, cut before the first stop string.
std::string answer_text(const Tokenizer& tokenizer, const Answer& answer, const GenerationConfig& generation);

}  // namespace mmbatch
