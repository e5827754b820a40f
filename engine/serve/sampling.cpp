#include <algorithm>

#include "engine/serve/logits.h"
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
      if (!sequence->finished) append(group, *sequence, context.vocabulary);
    }
  }

  std::vector<Answer> answers(SequenceGroup& group) override {
    std::vector<Answer> answers;
    for (const auto& sequence : group.sequences) answers.push_back(std::move(sequence->answer));
    return answers;
  }

 private:
  std::int32_t choose(const SequenceGroup& group, const Sequence& sequence, const Vocabulary& vocabulary,
                      std::span<const float> logits) {
    const GenerationConfig& config = group.request.generation;
    scores_.assign(logits.begin(), logits.end());
    process_scores(config, vocabulary, {group.request.prompt->ids, sequence.answer.tokens}, scores_);
    if (!config.do_sample) return argmax(scores_);
    return draw(config, scores_, uniform_draw(config.seed, sequence.index, sequence.answer.tokens.size()));
  }

  void append(SequenceGroup& group, Sequence& sequence, const Vocabulary& vocabulary) {
    const GenerationConfig& config = group.request.generation;
    const LogitRows rows = sequence.logits.back();
    sequence.logits.clear();
    const std::span<const float> logits(rows.logits->row(rows.first + rows.count - 1), rows.logits->cols());
    const std::int32_t token = choose(group, sequence, vocabulary, logits);
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
      return finish(sequence, FinishReason::stop);
    }
    answer.tokens.push_back(token);
    if (group.request.on_token) group.request.on_token(sequence.index, token);
    if (ends_with_stop_string(group.request, answer)) return finish(sequence, FinishReason::stop_string);
    if (sequence.tokens() >= group.max_tokens) finish(sequence, FinishReason::length);
  }

  static bool ends_with_stop_string(const Request& request, const Answer& answer) {
    if (request.generation.stop_strings.empty() || !request.decode) return false;
    const std::string text = request.decode(answer.tokens);
    return std::any_of(request.generation.stop_strings.begin(), request.generation.stop_strings.end(),
                       [&](const std::string& stop) { return text.find(stop) != std::string::npos; });
  }

  static void finish(Sequence& sequence, FinishReason reason) {
    sequence.answer.finish_reason = reason;
    sequence.finished = true;
  }

  std::size_t sequences_;
  std::vector<float> scores_;
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
  }
  return "unknown";
}

std::unique_ptr<Strategy> make_sampling(std::size_t sequences) {
  return std::make_unique<Sampling>(sequences);
}

std::unique_ptr<Strategy> make_strategy(const Request& request) {
  const GenerationConfig& config = request.generation;
  if (!request.choices.empty()) return make_choice_scoring(request);
  if (config.num_beams > 1) return make_beam_search(config);
  return make_sampling(static_cast<std::size_t>(config.num_return_sequences));
}

}  // namespace mmbatch
