#pragma once

#include <map>
#include <string>
#include <vector>

#include "fusion/prompting.h"
#include "jobs/manifest/manifest.h"
#include "pipeline/graph/messages.h"
#include "pipeline/watch/timeline.h"

namespace mmbatch {

/// Writes an item's question or dialogue as the model expects it and tokenizes it. Const and thread-safe.
class EncodeText {
 public:
  /// @throws UsageError for a job's turn format that is not one, or a template that was not recognised while
  /// the job depends on it.
  EncodeText(const ModelFiles& model, const Manifest& manifest);

  /// The stage: calls `done` once, with the tokens or a fault.
  void operator()(Timeline& timeline, const TicketPtr& ticket, const Done<Branch<EncodedText>>& done) const;
  /// The tokens of an item's text, with a placeholder for each image.  @throws ItemError
  std::vector<std::int32_t> ids(const Item& item) const;
  /// Those that go behind the model's answer to an earlier question: the item's question as a further turn of
  /// that dialogue, without images.  @throws ItemError
  std::vector<std::int32_t> following_ids(const Item& item) const;

 private:
  std::string prompt_text(const Item& item) const;

  Prompting prompting_;
  std::vector<TurnFormat> formats_;   // of each job
  std::vector<std::string> systems_;  // of each job; empty: none
};

}  // namespace mmbatch
