#pragma once

// Beam search as transformers' documentation describes it, every beam computed anew at every step: what the
// engine's is held against. Which of two continuations goes on that are as good as tied can be decided
// otherwise.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "engine/serve/logits.h"

namespace mmbatch::testing {

struct Hypothesis {
  std::vector<std::int32_t> tokens;  // with the end token
  double sum = 0;
  double score = 0;
};

/// What is searched, and how.
struct PlainBeamSearch {
  using Ids = std::vector<std::int32_t>;

  const GenerationConfig& config;
  const Vocabulary& vocabulary;
  Ids prompt;
  std::function<std::vector<float>(const Ids& answer)> logits_behind;
  /// Whether an answer ends with its last token, which is no end token.
  std::function<bool(const Ids& answer)> is_stopped = [](const Ids&) { return false; };
  /// The last beam that goes on and the first one that does not are tied when their sums are this near.
  double tie = 0;

  struct Outcome {
    std::vector<Hypothesis> finished;  // the best first
    std::size_t ties = 0;              // that were met
  };

  /// @param otherwise of each tie in turn, whether the first one that would not go on takes the last one's
  /// place; ties behind its end are decided by their sums
  Outcome search(const std::vector<bool>& otherwise = {}) const {
    const auto beams = static_cast<std::size_t>(config.num_beams);
    const auto limit = static_cast<std::size_t>(config.max_new_tokens);
    std::vector<Hypothesis> running(1);
    Outcome out;
    for (std::size_t length = 1; length <= limit; ++length) {
      const std::vector<Hypothesis> all = continuations(running, limit);
      running.clear();
      for (std::size_t rank = 0; rank < all.size() && running.size() <= beams; ++rank) {
        if (!ends(all[rank].tokens))
          running.push_back(all[rank]);
        else if (rank < beams)
          keep(all[rank], out.finished);
      }
      if (running.size() > beams) {
        const bool tied = running[beams - 1].sum - running[beams].sum <= tie;
        if (tied && out.ties++ < otherwise.size() && otherwise[out.ties - 1])
          std::swap(running[beams - 1], running[beams]);
        running.pop_back();
      }
      if (out.finished.size() < beams) continue;
      const double best = running.empty() ? -std::numeric_limits<double>::infinity() : running.front().sum;
      const bool certain = config.early_stopping == EarlyStopping::never && config.length_penalty > 0;
      if (config.early_stopping == EarlyStopping::yes ||
          out.finished.back().score >= score(best, certain ? limit : length))
        return out;
    }
    for (const Hypothesis& beam : running) keep(beam, out.finished);
    return out;
  }

 private:
  double score(double sum, std::size_t length) const {
    return sum / std::pow(static_cast<double>(length), config.length_penalty);
  }

  bool ends(const Ids& answer) const {
    const auto& eos = vocabulary.eos;
    return std::find(eos.begin(), eos.end(), answer.back()) != eos.end() || is_stopped(answer);
  }

  void keep(Hypothesis one, std::vector<Hypothesis>& finished) const {
    one.score = score(one.sum, one.tokens.size());
    finished.push_back(std::move(one));
    std::stable_sort(finished.begin(), finished.end(),
                     [](const Hypothesis& a, const Hypothesis& b) { return a.score > b.score; });
    if (finished.size() > static_cast<std::size_t>(config.num_beams)) finished.pop_back();
  }

  /// Of all beams, the best first.
  std::vector<Hypothesis> continuations(const std::vector<Hypothesis>& running, std::size_t limit) const {
    std::vector<Hypothesis> all;
    for (const Hypothesis& beam : running) {
      std::vector<float> scores = logits_behind(beam.tokens);
      const float normaliser = log_normaliser(scores);
      for (float& one : scores) one -= normaliser;
      process_scores(config, vocabulary, {prompt, beam.tokens, limit}, scores);
      for (std::size_t t = 0; t < scores.size(); ++t) {
        if (std::isinf(scores[t])) continue;
        Hypothesis next = beam;
        next.tokens.push_back(static_cast<std::int32_t>(t));
        next.sum += scores[t];
        all.push_back(std::move(next));
      }
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const Hypothesis& a, const Hypothesis& b) { return a.sum > b.sum; });
    return all;
  }
};

}  // namespace mmbatch::testing
