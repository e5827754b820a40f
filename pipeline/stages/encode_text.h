#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "fusion/prompting.h"
#include "jobs/manifest/manifest.h"
#include "pipeline/graph/messages.h"
#include "pipeline/watch/timeline.h"

namespace mmbatch {

/// The turn format of a job.
/// @throws UsageError when it names none, or depends on a template of the checkpoint that cannot be used
TurnFormat turn_format_of(const Job& job, const Manifest& manifest, const ModelFiles& files);

/// What is to be said of chat_template_kwargs that have no effect on a manifest's items.
std::vector<std::string> idle_variables(const Manifest& manifest, const ModelFiles& files);

/// Writes an item's question or dialogue as the model expects it and tokenizes it. Const and thread-safe.
class EncodeText {
 public:
  /// @param manifest must outlive it  @param now what strftime_now of a template says
  /// @throws UsageError for a job's turn format that is not one, or a template that cannot be used while the
  /// job depends on it.
  EncodeText(const ModelFiles& model, const Manifest& manifest, const std::tm& now);

  /// The stage: calls `done` once, with the tokens or a fault.
  void operator()(Timeline& timeline, const TicketPtr& ticket, const Done<Branch<EncodedText>>& done) const;
  /// The tokens of an item's text, with a placeholder for each image.  @throws ItemError
  std::vector<std::int32_t> ids(const Item& item) const;
  /// An item's question or dialogue as the model's text.  @throws ItemError
  RenderedPrompt prompt(const Item& item) const;
  std::vector<std::int32_t> ids(const RenderedPrompt& prompt, const Item& item) const;
  /// Those that go behind the model's answer to an earlier question.  @throws ItemError
  std::vector<std::int32_t> following_ids(std::string_view text) const;

 private:
  struct OfJob {
    TurnFormat format;
    std::string system;  // empty: none
  };

  const ModelSpec& spec_;
  Prompting prompting_;
  const Manifest& manifest_;
  std::tm now_;
  std::vector<OfJob> jobs_;
};

}  // namespace mmbatch
