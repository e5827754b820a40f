#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/generation_config.h"
#include "engine/serve/request.h"
#include "engine/serve/strategy.h"

namespace mmbatch {

/// What a sequence holds so far.
struct History {
  std::span<const std::int32_t> prompt;
  std::span<const std::int32_t> answer;
  std::size_t most_answer_tokens = SIZE_MAX;  // at which the answer ends
  std::size_t size() const { return prompt.size() + answer.size(); }
  std::int32_t operator[](std::size_t i) const {
    return i < prompt.size() ? prompt[i] : answer[i - prompt.size()];
  }
};

/// True when a setting changes scores beyond the vocabulary's mask.
bool changes_scores(const GenerationConfig& config);

/// Whether a token completes an n-gram that is in the last tokens of an answer already, as
/// repetition_ngram_size and repetition_window say.
bool repeats(const GenerationConfig& config, std::span<const std::int32_t> answer, std::int32_t token);

/// The only token that may come next by forced_bos_token_id or forced_eos_token_id, if there is one.
std::optional<std::int32_t> forced_token(const GenerationConfig& config, const History& history);

/// Applies the settings to scores (logits, or log-probabilities with beams) in transformers' order:
/// repetition, presence and frequency penalty, n-grams, minimum length, the mask of tokens that are never
/// generated, then forced tokens, whose score is 0. A token that may not come becomes -infinity.
void process_scores(const GenerationConfig& config, const Vocabulary& vocabulary, const History& history,
                    std::span<float> scores);

/// Whether no score is NaN or infinite.
bool all_finite(std::span<const float> scores);

/// The likeliest allowed token; the lowest id among equals.
std::int32_t argmax(std::span<const float> scores);

/// Draws from processed scores after temperature, top_k, top_p, min_p, typical_p.
/// @param uniform in [0, 1)
std::int32_t draw(const GenerationConfig& config, std::span<const float> scores, double uniform);

/// A number in [0, 1) that depends on nothing else: counter-based, so an item's draws are its own in any
/// company.
double uniform_draw(std::uint64_t seed, std::uint64_t sequence, std::uint64_t position);

/// log-softmax of raw logits: logprob(token) = logits[token] - normaliser.
float log_normaliser(std::span<const float> logits);

/// The `count` likeliest tokens of raw logits.
std::vector<TokenLogprob> top_logprobs(std::span<const float> logits, std::size_t count);

}  // namespace mmbatch
