#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/generation_config.h"
#include "engine/serve/request.h"
#include "jobs/item/job.h"
#include "pipeline/constraint/grammar_constraint.h"
#include "pipeline/constraint/setting_files.h"
#include "text/constraint/closing/least_bytes.h"
#include "text/constraint/constraint.h"
#include "text/constraint/mask/token_masks.h"
#include "text/constraint/schema/document.h"

namespace mmbatch {

/// What settings hold an answer's text to, or nothing.
std::optional<ConstraintSpec> constraint_of(const GenerationConfig& generation);

/// That max_new_tokens leaves no room for the shortest answer, which has so many tokens.
std::string too_short_for(std::size_t tokens, const GenerationConfig& generation);

/// That some answer that fits can be begun in a model's tokens: not where words stand apart, the space that
/// an answer begins with is dropped, or the vocabulary lacks its characters.
/// @throws ItemError(invalid_value)
void check_writable(const GrammarConstraint& constraint, const TokenBytes& tokens,
                    const GenerationConfig& generation);

/// That an answer that is brought to its end has room: `tokens` are those of the shortest, or
/// Closings::kNever.
/// @throws ItemError(invalid_value)
void check_shortest(std::size_t tokens, const GenerationConfig& generation);

/// Compiled constraints by their text; the last few are kept. Thread-safe.
class CompiledConstraints {
 public:
  struct Entry {
    ConstraintSpec spec;
    CompiledConstraint compiled;
    std::shared_ptr<TokenMasks> masks = {};        // once they were needed
    std::shared_ptr<const LeastBytes> least = {};  // once an answer was to be closed, or measured
    std::optional<std::size_t> shortest = {};      // tokens of the shortest answer, once somebody asked
    /// has_answer_within() of each max_new_tokens that somebody asked for.
    std::map<std::size_t, std::optional<bool>> within = {};
    // Of a JSON Schema, once an answer was looked at:
    std::shared_ptr<const JsonValue> schema = {};
    std::shared_ptr<const SchemaDocument> document = {};
  };

  /// @throws ItemError(invalid_value) when it cannot be enforced
  std::shared_ptr<Entry> of(const ConstraintSpec& spec);

 private:
  static constexpr std::size_t kKept = 64;

  std::mutex mutex_;
  std::deque<std::shared_ptr<Entry>> entries_;  // the last one first
};

/// Constraints on the tokens of one model.
class Constraints {
 public:
  explicit Constraints(std::shared_ptr<const Tokenizer> tokenizer) : tokenizer_(std::move(tokenizer)) {}

  /// Null when the settings ask for none.
  /// @param ends tokens that end an answer, besides the settings' own.  @throws ItemError(invalid_value)
  std::shared_ptr<const TokenConstraint> of(const GenerationConfig& generation,
                                            std::vector<std::int32_t> ends);

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  CompiledConstraints compiled_;
  std::mutex mutex_;
  std::shared_ptr<const TokenBytes> tokens_;  // once they were needed
};

/// Looks at finished answers: was one cut, and does it fit? Of one thread.
class AnswerCheck {
 public:
  /// What is wrong with an answer: cut before it was complete, or, which would be a fault of this program,
  /// not what it was held to.
  struct Fault {
    enum class Kind { incomplete, misfit };
    Kind kind;
    std::string message;

    /// As `query` and `failures` name it.
    std::string_view code_name() const {
      return kind == Kind::incomplete ? "answer_incomplete" : to_string(ErrorCode::internal);
    }
  };

  /// @param text of the answer
  std::optional<Fault> fault(const GenerationConfig& generation, const std::string& text,
                             const Answer& answer);

 private:
  CompiledConstraints compiled_;
};

/// Checks what the jobs of a manifest are held to.
/// @param files that settings of the command line were read from
/// @throws UsageError that names job or file, and keyword, all of them.  @return warnings
std::vector<std::string> check_constraints(const Manifest& manifest, const GenerationOverrides& command_line,
                                           const SettingFiles& files = {});

/// Checks what an item itself brings; what it has of its job was checked before.
/// @throws ItemError(invalid_value)
void check_own_constraint(const Item& item, const GenerationConfig& generation);

/// The place in a JSON text that was cut, as a JSON pointer: `/items/4/name`.
std::string json_place(std::string_view cut);

}  // namespace mmbatch
