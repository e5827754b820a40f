#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/serve/logits.h"
#include "engine/serve/strategy.h"

namespace mmbatch {
namespace {

/// Scores given continuations: the prompt is computed once, then all choices in one batched pass that shares
/// its blocks. A choice's score is the sum of its tokens' log-probabilities; probabilities are the softmax of
/// them.
class ChoiceScoring : public Strategy {
 public:
  explicit ChoiceScoring(std::vector<std::vector<std::int32_t>> choices)
      : choices_(std::move(choices)), sums_(choices_.size(), 0.0) {}

  std::size_t width() const override { return choices_.size(); }

  std::size_t first_logit_position(const Sequence& sequence) const override {
    const std::size_t prompt = sequence.group->prompt_tokens();
    return prompt_scored_ ? prompt : prompt - 1;
  }

  void advance(SequenceGroup& group, const StrategyContext& context) override {
    if (!prompt_scored_) return begin(group, context);
    for (const auto& sequence : group.sequences) score(*sequence);
  }

  std::vector<Answer> answers(SequenceGroup&) override {
    const double best = *std::max_element(sums_.begin(), sums_.end());
    double total = 0;
    for (const double sum : sums_) total += std::exp(sum - best);
    std::vector<Answer> answers(choices_.size());
    for (std::size_t c = 0; c < choices_.size(); ++c) {
      answers[c].choice = c;
      answers[c].tokens.assign(choices_[c].begin(), choices_[c].end() - 1);
      answers[c].finish_reason = FinishReason::choice;
      answers[c].logprob = sums_[c];
      answers[c].score = std::exp(sums_[c] - best) / total;
    }
    std::stable_sort(answers.begin(), answers.end(),
                     [](const Answer& a, const Answer& b) { return a.logprob > b.logprob; });
    return answers;
  }

 private:
  static float logprob(const float* logits, std::size_t vocab, std::int32_t token) {
    return logits[static_cast<std::size_t>(token)] - log_normaliser({logits, vocab});
  }

  /// The prompt's last logits give every choice's first token; the rest of each becomes a sequence.
  void begin(SequenceGroup& group, const StrategyContext& context) {
    prompt_scored_ = true;
    const LogitRows rows = group.sequences.front()->logits.back();
    const float* logits = rows.logits->row(rows.first + rows.count - 1);
    std::vector<std::unique_ptr<Sequence>> sequences;
    for (std::size_t c = 0; c < choices_.size(); ++c) {
      sums_[c] = logprob(logits, rows.logits->cols(), choices_[c].front());
      sequences.push_back(context.fork(*group.sequences.front()));
      sequences[c]->index = c;
      sequences[c]->answer.tokens.assign(choices_[c].begin(), choices_[c].end() - 1);
      sequences[c]->finished = choices_[c].size() == 1;
    }
    group.sequences = std::move(sequences);
  }

  void score(Sequence& sequence) {
    if (sequence.finished) return;
    const std::vector<std::int32_t>& tokens = choices_[sequence.index];
    std::size_t next = 1;
    for (const LogitRows& rows : sequence.logits) {
      for (std::size_t r = 0; r < rows.count; ++r) {
        sums_[sequence.index] +=
            logprob(rows.logits->row(rows.first + r), rows.logits->cols(), tokens[next++]);
      }
    }
    sequence.finished = true;
  }

  std::vector<std::vector<std::int32_t>> choices_;
  std::vector<double> sums_;
  bool prompt_scored_ = false;
};

}  // namespace

std::unique_ptr<Strategy> make_choice_scoring(const Request& request) {
  return std::make_unique<ChoiceScoring>(request.choices);
}

}  // namespace mmbatch
