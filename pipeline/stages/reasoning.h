#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/serve/reasoning/reasoning.h"
#include "fusion/model.h"
#include "jobs/item/item.h"
#include "jobs/item/job.h"
#include "text/reasoning/reasoning_format.h"

namespace mmbatch {

/// How the answers of a job's dialogues are told from the thoughts before them; null: they are not.
/// @throws UsageError when marks that the job names are not text of the model
std::shared_ptr<const ReasoningFormat> reasoning_of(const Job& job, const ModelFiles& files);

/// What follows the answer to a prompt.  @param limit thoughts at most
std::shared_ptr<const ReasoningTracker> make_tracker(const ReasoningFormat& format,
                                                     const Tokenizer& tokenizer,
                                                     std::span<const std::int32_t> prompt,
                                                     const GenerationConfig& generation);

/// An answer's text as it comes, thoughts and answer apart.
class AnswerStream {
 public:
  struct Piece {
    std::string thoughts, answer;
  };
  /// @param format, tracker null: all is the answer
  AnswerStream(std::shared_ptr<const Tokenizer> tokenizer, std::shared_ptr<const ReasoningFormat> format,
               std::shared_ptr<const ReasoningTracker> tracker);
  Piece push(std::int32_t token);
  Piece finish();

 private:
  void push_answer(std::int32_t token, std::string& out);

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const ReasoningFormat> format_;
  std::shared_ptr<const ReasoningTracker> tracker_;
  ReasoningTracker::State state_;
  std::unique_ptr<TokenStream> answer_;
  std::optional<ReasoningText> thoughts_;
  std::vector<std::int32_t> waiting_;  // may be a mark
  bool thought_ = false;               // white space behind the mark is not part of the answer
};

}  // namespace mmbatch
