#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "engine/serve/logits.h"
#include "engine/serve/strategy.h"

namespace mmbatch {
namespace {

/// Scores given continuations: the prompt is computed once, then all choices in one batched pass that shares
/// its blocks. A choice's score is the sum of its tokens' log-probabilities; probabilities are the softmax of
/// them. A choice that another one begins with, but for its end token, is scored along with that one.
///
/// Where the model's border of lengths lies within a choice, its beginning is a line of its own: every token
/// is predicted by a sequence as long as what stands before it, as in generation.
class ChoiceScoring : public Strategy {
 public:
  /// @param room answer tokens before the border of lengths
  ChoiceScoring(std::vector<std::vector<std::int32_t>> choices, std::size_t room)
      : choices_(std::move(choices)), trie_(choices_), logprobs_(trie_.nodes()) {
    std::vector<std::size_t> order(choices_.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return choices_[a].size() > choices_[b].size(); });
    std::vector<bool> computed(trie_.nodes());
    const auto add = [&](Line line) {
      const std::vector<ChoiceTrie::State> nodes = path(choices_[line.choice]);
      if (line.tokens <= line.scored || computed[nodes[line.tokens - 1]]) return;
      for (std::size_t i = line.scored; i < line.tokens; ++i) computed[nodes[i]] = true;
      lines_.push_back(line);
    };
    for (const std::size_t c : order) {
      const std::size_t tokens = choices_[c].size() - 1;  // the last one is only predicted
      add({.choice = c, .tokens = tokens, .scored = std::min(room, tokens)});
      add({.choice = c, .tokens = std::min(room, tokens), .scored = 0});
    }
  }

  std::size_t width() const override { return std::max<std::size_t>(1, lines_.size()); }

  std::size_t first_logit_position(const Sequence& sequence) const override {
    const std::size_t prompt = sequence.group->prompt_tokens();
    return prompt_scored_ ? prompt : prompt - 1;
  }

  /// Logits are scored as they come: of many long choices they would not all fit the memory.
  bool is_ready(const SequenceGroup& group) const override {
    if (!prompt_scored_) return Strategy::is_ready(group);
    return std::any_of(group.sequences.begin(), group.sequences.end(),
                       [](const auto& sequence) { return !sequence->logits.empty(); });
  }

  void advance(SequenceGroup& group, const StrategyContext& context) override {
    if (!prompt_scored_) return begin(group, context);
    for (const auto& sequence : group.sequences) {
      if (!sequence->logits.empty()) score(*sequence);
    }
  }

  std::vector<Answer> answers(SequenceGroup& group) override {
    std::vector<double> sums;
    for (const std::vector<std::int32_t>& choice : choices_) {
      double& sum = sums.emplace_back(0.0);
      for (const ChoiceTrie::State node : path(choice)) sum += logprobs_[node];
    }
    const double best = *std::max_element(sums.begin(), sums.end());
    double total = 0;
    for (const double sum : sums) total += std::exp(sum - best);
    std::vector<Answer> answers(choices_.size());
    for (std::size_t c = 0; c < choices_.size(); ++c) {
      answers[c].choice = c;
      answers[c].tokens.assign(choices_[c].begin(), choices_[c].end() - 1);
      answers[c].finish_reason = FinishReason::choice;
      if (group.request.generation.logprobs) {
        for (const ChoiceTrie::State node : path(answers[c].tokens))
          answers[c].logprobs.push_back(logprobs_[node]);
      }
      answers[c].logprob = sums[c];
      answers[c].score = std::exp(sums[c] - best) / total;
    }
    std::stable_sort(answers.begin(), answers.end(),
                     [](const Answer& a, const Answer& b) { return a.logprob > b.logprob; });
    return answers;
  }

 private:
  /// The beginning of a choice.
  struct Line {
    std::size_t choice = 0;
    std::size_t tokens = 0;  // of it that are computed
    std::size_t scored = 0;  // what follows the first of them is scored by another line
  };

  /// The nodes behind each of a choice's tokens.
  std::vector<ChoiceTrie::State> path(const std::vector<std::int32_t>& tokens) const {
    std::vector<ChoiceTrie::State> nodes;
    ChoiceTrie::State node = trie_.start();
    for (const std::int32_t token : tokens) nodes.push_back(node = *trie_.advance(node, token));
    return nodes;
  }

  /// What may follow a node, scored by the logits behind it.
  void score_children(ChoiceTrie::State node, std::span<const float> logits) {
    const float normaliser = log_normaliser(logits);
    for (const auto& [token, child] : trie_.children(node))
      logprobs_[child] = logits[static_cast<std::size_t>(token)] - normaliser;
  }

  /// The prompt's last logits give every choice's first token; the rest of each line becomes a sequence.
  void begin(SequenceGroup& group, const StrategyContext& context) {
    prompt_scored_ = true;
    const LogitRows rows = group.sequences.front()->logits.back();
    score_children(trie_.start(), {rows.logits->row(rows.first + rows.count - 1), rows.logits->cols()});
    if (lines_.empty()) {
      group.sequences.front()->finished = true;
      return;
    }
    std::vector<std::unique_ptr<Sequence>> sequences;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      const std::vector<std::int32_t>& tokens = choices_[lines_[i].choice];
      sequences.push_back(context.fork(*group.sequences.front()));
      sequences[i]->index = i;
      const auto end = tokens.begin() + static_cast<std::ptrdiff_t>(lines_[i].tokens);
      sequences[i]->answer.tokens.assign(tokens.begin(), end);
    }
    group.sequences = std::move(sequences);
  }

  void score(Sequence& sequence) {
    const Line& line = lines_[sequence.index];
    const std::vector<ChoiceTrie::State> nodes = path(choices_[line.choice]);
    for (const LogitRows& rows : std::exchange(sequence.logits, {})) {
      for (std::size_t r = 0; r < rows.count; ++r) {
        const std::size_t token = rows.position + r - sequence.group->prompt_tokens();
        if (token < line.scored) continue;
        score_children(nodes[token], {rows.logits->row(rows.first + r), rows.logits->cols()});
      }
    }
    sequence.finished = sequence.remaining() == 0;
  }

  std::vector<std::vector<std::int32_t>> choices_;
  ChoiceTrie trie_;
  std::vector<float> logprobs_;  // of the token that leads to each node
  std::vector<Line> lines_;      // that become sequences
  bool prompt_scored_ = false;
};

}  // namespace

std::unique_ptr<Strategy> make_choice_scoring(const Request& request, std::size_t length_border) {
  const std::size_t prompt = request.prompt->tokens();
  const bool within = length_border > 0 && prompt <= length_border;
  return std::make_unique<ChoiceScoring>(
      request.choices, within ? length_border - prompt : std::numeric_limits<std::size_t>::max());
}

}  // namespace mmbatch
