#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/generation_config.h"
#include "jobs/item/job.h"
#include "pipeline/constraint/constraints.h"

namespace mmbatch {

/// How many tokens answers under a constraint have at least. Of one thread.
class AnswerLengths {
 public:
  explicit AnswerLengths(std::shared_ptr<const Tokenizer> tokenizer) : tokenizer_(std::move(tokenizer)) {}

  /// Of the answer with the fewest bytes; nothing without a constraint, or when it cannot be found.
  /// @throws ItemError(invalid_value) when the constraint cannot be enforced
  std::optional<std::size_t> shortest(const GenerationConfig& generation);

  /// @throws ItemError(invalid_value) when max_new_tokens certainly leaves no room for any answer, or, where
  /// answers are brought to their end, when it leaves none for the one that they are brought to, or that one
  /// cannot be found
  void check(const GenerationConfig& generation);

  /// What is worth knowing of each job: the shortest answer, and strings that may go on for ever.
  std::vector<std::string> notes(const Manifest& manifest, const GenerationOverrides& command_line);

 private:
  const std::shared_ptr<const TokenBytes>& tokens();

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const TokenBytes> tokens_;  // once they were needed
  CompiledConstraints compiled_;
};

}  // namespace mmbatch
