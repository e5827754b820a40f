#include "pipeline/constraint/answer_lengths.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/base/text/counted.h"
#include "jobs/item/job_place.h"
#include "jobs/item/settings.h"
#include "text/constraint/closing/closings.h"
#include "text/constraint/closing/fewest_tokens.h"

namespace mmbatch {
namespace {

bool has_endless_strings(const Grammar& grammar) {
  return std::any_of(grammar.strings.begin(), grammar.strings.end(), [](const StringRule& rule) {
    return rule.max() == StringRule::kNoLimit && rule.takes_everything();
  });
}

}  // namespace

const std::shared_ptr<const TokenBytes>& AnswerLengths::tokens() {
  if (!tokens_) tokens_ = std::make_shared<const TokenBytes>(tokenizer_);
  return tokens_;
}

std::optional<std::size_t> AnswerLengths::shortest(const GenerationConfig& generation) {
  const auto spec = constraint_of(generation);
  if (!spec) return std::nullopt;
  const auto entry = compiled_.of(*spec);
  if (!entry->shortest) {
    entry->least = std::make_shared<const LeastBytes>(entry->compiled.grammar);
    Machine machine(entry->compiled.grammar);
    Closings closings(entry->least, tokens());
    try {
      entry->shortest = closings.tokens(machine, machine.start(), AnswerPlace::beginning);
    } catch (const TooAmbiguous&) {
      entry->shortest = Closings::kNever;
    }
  }
  if (*entry->shortest == Closings::kNever) return std::nullopt;
  return entry->shortest;
}

void AnswerLengths::check(const GenerationConfig& generation) {
  const auto spec = constraint_of(generation);
  if (!spec) return;
  const auto entry = compiled_.of(*spec);
  if (!entry->masks) entry->masks = std::make_shared<TokenMasks>(entry->compiled.grammar, tokens());
  check_writable(GrammarConstraint(entry->masks, {}, nullptr), *tokens(), generation);
  const auto fewest = shortest(generation);
  if (generation.on_length == "close") return check_shortest(fewest.value_or(Closings::kNever), generation);
  if (fewest && std::cmp_less_equal(*fewest, generation.max_new_tokens)) return;
  // A text with more bytes may take fewer tokens. Items of a job mostly share constraint and limit.
  const auto limit = static_cast<std::size_t>(generation.max_new_tokens);
  auto fits = entry->within.find(limit);
  if (fits == entry->within.end()) {
    const auto found = has_answer_within(entry->compiled.grammar, *entry->least, *tokens_, limit);
    fits = entry->within.emplace(limit, found).first;
  }
  if (fits->second != false) return;
  if (fewest) throw ItemError(ErrorCode::invalid_value, too_short_for(*fewest, generation));
  constexpr std::size_t kAnyNumber = std::size_t{1} << 62;  // above LeastBytes::kNever
  if (has_answer_within(entry->compiled.grammar, *entry->least, *tokens_, kAnyNumber) == false) {
    throw ItemError(ErrorCode::invalid_value,
                    "no text that fits can be written in this model's tokens, however many");
  }
  throw ItemError(ErrorCode::invalid_value,
                  fmt::format("max_new_tokens is {}, but every answer that fits has more tokens: raise it",
                              generation.max_new_tokens));
}

std::vector<std::string> AnswerLengths::notes(const Manifest& manifest,
                                              const GenerationOverrides& command_line) {
  std::vector<std::string> notes;
  for (const Job& job : manifest.jobs) {
    const GenerationConfig generation = generation_of(manifest, job, {{}, command_line});
    const auto tokens = shortest(generation);
    if (!tokens) continue;
    notes.push_back(fmt::format("{}the shortest answer has {}, max_new_tokens is {}", place_of(job),
                                counted(*tokens, "token"), generation.max_new_tokens));
    if (has_endless_strings(*compiled_.of(*constraint_of(generation))->compiled.grammar))
      notes.push_back(place_of(job) +
                      "response_format: strings without maxLength may go on to max_new_tokens");
  }
  return notes;
}

}  // namespace mmbatch
