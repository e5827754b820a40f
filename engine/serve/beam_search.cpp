#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "engine/base/text/running_search.h"
#include "engine/serve/logits.h"
#include "engine/serve/strategy.h"

namespace mmbatch {
namespace {

/// A continuation: a beam and its next token, by the sum of log-probabilities so far.
struct Step {
  double sum;
  std::size_t beam;
  std::int32_t token;
  bool closed = false;  // other tokens were refused to leave room for the end
};

bool better(const Step& a, const Step& b) {
  if (a.sum != b.sum) return a.sum > b.sum;
  return a.beam != b.beam ? a.beam < b.beam : a.token < b.token;
}

/// Beam search as transformers 5 defines it: of the 2·B best continuations those that end become finished
/// answers if they are among the B best, the others fill the next B beams. What a running beam can still
/// become is judged by the best of these.
class BeamSearch : public Strategy {
 public:
  explicit BeamSearch(const GenerationConfig& config)
      : beams_(static_cast<std::size_t>(config.num_beams)),
        returned_(static_cast<std::size_t>(config.num_return_sequences)) {}

  std::size_t width() const override { return beams_; }

  void advance(SequenceGroup& group, const StrategyContext& context) override {
    const std::vector<Step> steps = best_steps(group, context.vocabulary);
    const std::size_t length = group.sequences.front()->answer.tokens.size() + 1;
    std::vector<Step> next;
    for (std::size_t rank = 0; rank < steps.size() && next.size() < beams_; ++rank) {
      const Step& step = steps[rank];
      const bool ends_here = ends(group.request.generation, context.vocabulary, step.token);
      const Answer& before = group.sequences[step.beam]->answer;
      if (!ends_here && !ends_with_stop_string(group.request, before, step.token)) {
        next.push_back(step);
      } else if (rank < beams_) {
        Answer answer = before;
        if (ends_here) {
          const bool cut =
              group.request.generation.forced_eos_token_id && length == group.most_answer_tokens();
          answer.finish_reason =
              cut || answer.closed || step.closed ? FinishReason::length : FinishReason::stop;
        } else {
          answer.tokens.push_back(step.token);
          answer.finish_reason = FinishReason::stop_string;
        }
        add_finished(group.request.generation, std::move(answer), step.sum, length);
      }
    }
    const double best_sum = next.empty() ? -std::numeric_limits<double>::infinity() : next.front().sum;
    const bool done = is_done(group, best_sum, length);
    const bool full = length + group.prompt_tokens() >= group.max_tokens;
    if (!done && !next.empty()) go_on(group, context, next);
    const bool stuck = next.empty() && finished_.empty();  // no token may follow
    if (!done && ((full && !next.empty()) || stuck))
      add_running(group, stuck ? FinishReason::stop : FinishReason::length);
    if (done || full || next.empty()) {
      for (const auto& sequence : group.sequences) sequence->finished = true;
    }
  }

  std::vector<Answer> answers(SequenceGroup&) override {
    std::stable_sort(finished_.begin(), finished_.end(),
                     [](const Answer& a, const Answer& b) { return a.score > b.score; });
    if (finished_.size() > returned_) finished_.resize(returned_);
    return std::move(finished_);
  }

 private:
  static bool ends(const GenerationConfig& config, const Vocabulary& vocabulary, std::int32_t token) {
    const auto has = [&](const std::vector<std::int32_t>& ids) {
      return std::find(ids.begin(), ids.end(), token) != ids.end();
    };
    return has(config.stop_token_ids) || (!config.ignore_eos && has(vocabulary.eos));
  }

  /// Whether a stop string ends with this token. What stands before has none, or the beam would have ended.
  static bool ends_with_stop_string(const Request& request, const Answer& before, std::int32_t token) {
    if (request.generation.stop_strings.empty() || !request.text) return false;
    const auto text = request.text();
    RunningSearch search(request.generation.stop_strings);
    for (const std::int32_t one : before.tokens) search.push(text(one));
    return search.push(text(token));
  }

  std::vector<Step> best_steps(SequenceGroup& group, const Vocabulary& vocabulary) {
    const GenerationConfig& config = group.request.generation;
    const std::size_t ends_known =
        std::max<std::size_t>(2, 1 + vocabulary.eos.size() + config.stop_token_ids.size());
    const std::size_t keep = ends_known * beams_;
    std::vector<Step> steps;
    for (std::size_t beam = 0; beam < group.sequences.size(); ++beam) {
      Sequence& sequence = *group.sequences[beam];
      const LogitRows& rows = sequence.logits.back();
      const std::span<const float> logits(rows.logits->row(rows.first + rows.count - 1), rows.logits->cols());
      const float normaliser = log_normaliser(logits);
      const History history{group.request.prompt->decoder_ids(), sequence.answer.tokens,
                            group.most_answer_tokens()};
      const auto& constraint = group.request.constraint;
      const auto constrain = [&](auto&& keep_allowed) {
        process_scores(config, vocabulary, history, scores_);
        if (keep_allowed()) return;
        // Another setting forbids all that may come: the constraint wins.
        take_logits(logits, normaliser);
        keep_allowed();
      };
      const TokenConstraint::State state = sequence.constraint_state;
      const bool free = constraint == nullptr || forced_token(config, history).has_value();
      take_logits(logits, normaliser);
      constrain([&] { return free || constrain_scores(*constraint, state, scores_); });
      const std::size_t left = group.max_tokens - sequence.tokens();
      const bool closed =
          !free && constraint->keeps_room() && one_takes_the_room(*constraint, state, left, keep);
      if (closed) {
        take_logits(logits, normaliser);
        constrain([&] { return constrain_scores_within(*constraint, state, left, scores_); });
      }
      for (std::size_t token = 0; token < scores_.size(); ++token) {
        if (scores_[token] == -std::numeric_limits<float>::infinity()) continue;
        steps.push_back(
            {sequence.answer.logprob + scores_[token], beam, static_cast<std::int32_t>(token), closed});
      }
      if (steps.size() > keep) {
        std::nth_element(steps.begin(), steps.begin() + static_cast<std::ptrdiff_t>(keep), steps.end(),
                         better);
        steps.resize(keep);
      }
    }
    std::sort(steps.begin(), steps.end(), better);
    return steps;
  }

  void take_logits(std::span<const float> logits, float normaliser) {
    scores_.resize(logits.size());
    std::transform(logits.begin(), logits.end(), scores_.begin(), [&](float x) { return x - normaliser; });
  }

  /// Whether one of the likeliest tokens leaves no room for the answer's end.
  bool one_takes_the_room(const TokenConstraint& constraint, TokenConstraint::State state, std::size_t left,
                          std::size_t likeliest) const {
    std::vector<std::int32_t> tokens;
    for (std::size_t token = 0; token < scores_.size(); ++token) {
      if (scores_[token] != -std::numeric_limits<float>::infinity())
        tokens.push_back(static_cast<std::int32_t>(token));
    }
    const auto score = [&](std::int32_t token) { return scores_[static_cast<std::size_t>(token)]; };
    if (tokens.size() > likeliest) {
      std::nth_element(
          tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(likeliest), tokens.end(),
          [&](std::int32_t a, std::int32_t b) { return score(a) != score(b) ? score(a) > score(b) : a < b; });
      tokens.resize(likeliest);
    }
    return std::any_of(tokens.begin(), tokens.end(),
                       [&](std::int32_t token) { return takes_the_room(constraint, state, left, token); });
  }

  /// The chosen continuations become the beams: each takes over its parent or forks it.
  static void go_on(SequenceGroup& group, const StrategyContext& context, const std::vector<Step>& next) {
    std::vector<std::unique_ptr<Sequence>> beams;
    for (const Step& step : next) {
      beams.push_back(context.fork(*group.sequences[step.beam]));
      beams.back()->answer.tokens.push_back(step.token);
      beams.back()->answer.closed = beams.back()->answer.closed || step.closed;
      const bool first_is_forced =
          group.request.generation.forced_bos_token_id && beams.back()->answer.tokens.size() == 1;
      if (const auto& constraint = group.request.constraint; constraint && !first_is_forced)
        beams.back()->constraint_state = *constraint->advance(beams.back()->constraint_state, step.token);
      beams.back()->answer.logprob = step.sum;
      beams.back()->index = beams.size() - 1;
    }
    group.sequences = std::move(beams);
  }

  void add_finished(const GenerationConfig& config, Answer answer, double sum, std::size_t length) {
    answer.logprob = sum;
    answer.score = sum / std::pow(static_cast<double>(length), config.length_penalty);
    if (finished_.size() == beams_) {
      if (answer.score <= worst()->score) return;
      finished_.erase(worst());
    }
    finished_.push_back(std::move(answer));
  }

  std::vector<Answer>::iterator worst() {
    return std::min_element(finished_.begin(), finished_.end(),
                            [](const Answer& a, const Answer& b) { return a.score < b.score; });
  }

  bool is_done(const SequenceGroup& group, double best_sum, std::size_t length) {
    const GenerationConfig& config = group.request.generation;
    if (finished_.size() < beams_) return false;
    if (config.early_stopping == EarlyStopping::yes) return true;
    const bool longest = config.early_stopping == EarlyStopping::never && config.length_penalty > 0;
    const std::size_t reach = longest ? group.max_tokens - group.prompt_tokens() : length;
    return worst()->score >= best_sum / std::pow(static_cast<double>(reach), config.length_penalty);
  }

  /// Beams that still run count as answers when the length limit ends the search.
  void add_running(const SequenceGroup& group, FinishReason reason) {
    for (const auto& sequence : group.sequences) {
      Answer answer = sequence->answer;
      answer.finish_reason = reason;
      const std::size_t length = answer.tokens.size();
      add_finished(group.request.generation, std::move(answer), sequence->answer.logprob, length);
    }
  }

  std::size_t beams_;
  std::size_t returned_;
  std::vector<Answer> finished_;
  std::vector<float> scores_;
};

}  // namespace

std::unique_ptr<Strategy> make_beam_search(const GenerationConfig& config) {
  return std::make_unique<BeamSearch>(config);
}

}  // namespace mmbatch
