#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

#include "engine/base/text/running_search.h"
#include "engine/serve/logits.h"
#include "engine/serve/prompt_lookup.h"
#include "engine/serve/strategy.h"

namespace mmbatch {
namespace {

bool contains(const std::vector<std::int32_t>& tokens, std::int32_t token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

/// Greedy and random decoding of num_return_sequences independent sequences.
class Sampling : public Strategy {
 public:
  explicit Sampling(std::size_t sequences) : sequences_(sequences) {}

  std::size_t width() const override { return sequences_; }

  void advance(SequenceGroup& group, const StrategyContext& context) override {
    // The prompt is computed once: its sequence becomes all of them.
    while (group.sequences.size() < sequences_) {
      group.sequences.push_back(context.fork(*group.sequences.front()));
      group.sequences.back()->index = group.sequences.size() - 1;
      group.sequences.back()->logits = group.sequences.front()->logits;
    }
    for (const auto& sequence : group.sequences) {
      if (!sequence->finished) go_on(group, *sequence, context);
    }
  }

  std::vector<Answer> answers(SequenceGroup& group) override {
    std::vector<Answer> answers;
    for (const auto& sequence : group.sequences) answers.push_back(std::move(sequence->answer));
    return answers;
  }

 private:
  static History history_of(const SequenceGroup& group, const Sequence& sequence) {
    return {group.request.prompt->decoder_ids(), sequence.answer.tokens, group.most_answer_tokens()};
  }

  std::int32_t choose(const SequenceGroup& group, Sequence& sequence, const Vocabulary& vocabulary,
                      std::span<const float> logits) {
    const GenerationConfig& config = group.request.generation;
    const auto* const constraint = group.request.constraint.get();
    const bool forced = forced_token(config, history_of(group, sequence)).has_value();
    const TokenConstraint::State state = sequence.constraint_state;
    const std::int32_t token = choose_among(group, sequence, vocabulary, logits, [&] {
      return constraint == nullptr || forced || constrain_scores(*constraint, state, scores_);
    });
    const std::size_t left = group.max_tokens - sequence.tokens();
    if (constraint == nullptr || forced || !takes_the_room(*constraint, state, left, token)) return token;
    sequence.answer.closed = true;
    return choose_among(group, sequence, vocabulary, logits,
                        [&] { return constrain_scores_within(*constraint, state, left, scores_); });
  }

  /// @param constrain takes tokens out of scores_; false when it leaves none
  template <class Constrain>
  std::int32_t choose_among(const SequenceGroup& group, const Sequence& sequence,
                            const Vocabulary& vocabulary, std::span<const float> logits,
                            Constrain&& constrain) {
    const GenerationConfig& config = group.request.generation;
    scores_.assign(logits.begin(), logits.end());
    process_scores(config, vocabulary, history_of(group, sequence), scores_);
    if (!constrain()) {
      // Another setting forbids all that may come, such as no_repeat_ngram_size: the constraint wins.
      scores_.assign(logits.begin(), logits.end());
      constrain();
    }
    if (!config.do_sample) return argmax(scores_);
    return draw(config, scores_, uniform_draw(config.seed, sequence.index, sequence.answer.tokens.size()));
  }

  /// Uses the logits behind the last token, then those behind each guess, as long as the guesses are what is
  /// chosen anyway: speculative decoding with a draft whose tokens are certain (after arXiv 2211.17192).
  /// Choice and draw depend on the logits and the position only, so the answer is the same as without.
  void go_on(SequenceGroup& group, Sequence& sequence, const StrategyContext& context) {
    const std::vector<LogitRows> logits = std::exchange(sequence.logits, {});
    const std::vector<std::int32_t> draft = std::exchange(sequence.draft, {});
    const bool guessed = !std::exchange(sequence.draft_is_forced, false);
    if (guessed) group.draft_tokens += draft.size();
    std::size_t accepted = 0;
    bool right = true;
    for (const LogitRows& rows : logits) {
      for (std::size_t r = 0; r < rows.count && right; ++r) {
        const std::span<const float> row(rows.logits->row(rows.first + r), rows.logits->cols());
        const std::int32_t token = append(group, sequence, context.vocabulary, row);
        right = accepted < draft.size() && draft[accepted] == token;
        if (right) ++accepted;
        right = right && !sequence.finished;
      }
    }
    if (guessed) group.draft_tokens_accepted += accepted;
    if (sequence.finished) return;
    // Positions behind the first wrong guess are computed again.
    sequence.computed = std::min(sequence.computed, sequence.tokens() - 1);
    const std::size_t room = group.max_tokens - sequence.tokens() - 1;
    if (group.request.constraint && context.jump_forward) {
      sequence.draft = group.request.constraint->forced(sequence.constraint_state);
      if (sequence.draft.size() > room) sequence.draft.resize(room);
      sequence.draft_is_forced = !sequence.draft.empty();
      if (sequence.draft_is_forced) return;
    }
    if (context.lookup_tokens == 0) return;
    const std::size_t limit = std::min(context.lookup_tokens, room);
    sequence.draft = draft_by_lookup(history_of(group, sequence), *context.earlier, limit);
    if (const auto& constraint = group.request.constraint)
      constrain_draft(*constraint, sequence.constraint_state, sequence.draft);
  }

  /// Chooses the next token. @return it, also when it ends the sequence
  std::int32_t append(SequenceGroup& group, Sequence& sequence, const Vocabulary& vocabulary,
                      std::span<const float> logits) {
    const GenerationConfig& config = group.request.generation;
    const std::int32_t token = choose(group, sequence, vocabulary, logits);
    const bool forced = forced_token(config, history_of(group, sequence)).has_value();
    if (group.request.constraint && !forced) {
      const auto next = group.request.constraint->advance(sequence.constraint_state, token);
      if (!next || scores_[static_cast<std::size_t>(token)] == -std::numeric_limits<float>::infinity()) {
        finish(sequence, FinishReason::stop);  // nothing may follow
        return token;
      }
      sequence.constraint_state = *next;
    }
    if (repeats(config, sequence.answer.tokens, token)) {
      finish(sequence, FinishReason::repetition);
      return token;
    }
    const float logprob = logits[static_cast<std::size_t>(token)] - log_normaliser(logits);
    Answer& answer = sequence.answer;
    answer.logprob += logprob;
    answer.score = answer.logprob;
    if (config.logprobs) answer.logprobs.push_back(logprob);
    if (config.top_logprobs > 0) {
      answer.top.push_back(top_logprobs(logits, static_cast<std::size_t>(config.top_logprobs)));
    }
    const bool stop_token = contains(config.stop_token_ids, token);
    if (stop_token || (!config.ignore_eos && contains(vocabulary.eos, token))) {
      finish(sequence, forced ? FinishReason::length : FinishReason::stop);
      return token;
    }
    answer.tokens.push_back(token);
    if (group.request.on_token) group.request.on_token(sequence.index, token);
    if (ends_with_stop_string(group.request, sequence.index, token))
      finish(sequence, FinishReason::stop_string);
    else if (group.request.constraint && group.request.constraint->complete(sequence.constraint_state))
      finish(sequence, FinishReason::stop);
    else if (sequence.tokens() >= group.max_tokens)
      finish(sequence, FinishReason::length);
    return token;
  }

  bool ends_with_stop_string(const Request& request, std::size_t sequence, std::int32_t token) {
    if (request.generation.stop_strings.empty() || !request.text) return false;
    if (watches_.empty()) watches_.resize(sequences_);
    std::optional<Watch>& watch = watches_[sequence];
    if (!watch) watch = Watch{request.text(), RunningSearch(request.generation.stop_strings)};
    return watch->search.push(watch->text(token));
  }

  static void finish(Sequence& sequence, FinishReason reason) {
    // An answer that was brought to its end by force was cut.
    const bool cut = reason == FinishReason::stop && sequence.answer.closed;
    sequence.answer.finish_reason = cut ? FinishReason::length : reason;
    sequence.finished = true;
  }

  /// Looks for stop strings in the text of one answer.
  struct Watch {
    std::function<std::string(std::int32_t token)> text;
    RunningSearch search;
  };

  std::size_t sequences_;
  std::vector<float> scores_;
  std::vector<std::optional<Watch>> watches_;  // of each sequence; empty without stop strings
};

}  // namespace

std::string_view to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::stop_string:
      return "stop_string";
    case FinishReason::choice:
      return "choice";
    case FinishReason::repetition:
      return "repetition";
  }
  return "unknown";
}

bool Strategy::is_ready(const SequenceGroup& group) const {
  return std::all_of(group.sequences.begin(), group.sequences.end(),
                     [](const auto& sequence) { return sequence->waits(); });
}

std::unique_ptr<Strategy> make_sampling(std::size_t sequences) {
  return std::make_unique<Sampling>(sequences);
}

std::unique_ptr<Strategy> make_strategy(const Request& request, std::size_t length_border) {
  const GenerationConfig& config = request.generation;
  if (!request.choices.empty()) return make_choice_scoring(request, length_border);
  if (config.num_beams > 1) return make_beam_search(config);
  return make_sampling(static_cast<std::size_t>(config.num_return_sequences));
}

}  // namespace mmbatch
