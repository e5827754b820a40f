#include "engine/serve/logits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "engine/decoder/prompt.h"
#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

void penalise_repetition(float penalty, const History& history, std::span<float> scores) {
  std::vector<bool> seen(scores.size());
  const auto penalise = [&](std::span<const std::int32_t> tokens) {
    for (const std::int32_t token : tokens) {
      if (token == Prompt::kNoToken || seen[static_cast<std::size_t>(token)]) continue;
      seen[static_cast<std::size_t>(token)] = true;
      float& score = scores[static_cast<std::size_t>(token)];
      if (score != 0) score = score < 0 ? score * penalty : score / penalty;
    }
  };
  penalise(history.prompt);
  penalise(history.answer);
}

void penalise_presence(const GenerationConfig& config, const History& history, std::span<float> scores) {
  std::unordered_map<std::int32_t, int> counts;
  for (const std::int32_t token : history.answer) ++counts[token];
  for (const auto& [token, count] : counts) {
    scores[static_cast<std::size_t>(token)] -=
        static_cast<float>(config.presence_penalty + config.frequency_penalty * count);
  }
}

/// Calls `found` with every token that would complete an n-gram which is there already.
/// @param window the n-gram begins among so many last tokens; 0: anywhere
template <class Found>
void each_completion(std::size_t n, std::size_t window, const History& history, const Found& found) {
  if (history.size() + 1 < n) return;
  const std::size_t last = history.size() - (n - 1);
  const std::size_t first = window > 0 && history.size() > window ? history.size() - window : 0;
  for (std::size_t i = first; i + n <= history.size(); ++i) {
    bool same = true;
    for (std::size_t k = 0; k + 1 < n && same; ++k) same = history[i + k] == history[last + k];
    if (same) found(history[i + n - 1]);
  }
}

void forbid_ngrams(const GenerationConfig& config, const History& history, std::span<float> scores) {
  const auto& whitelist = config.no_repeat_ngram_whitelist;
  each_completion(static_cast<std::size_t>(config.no_repeat_ngram_size),
                  static_cast<std::size_t>(config.no_repeat_ngram_window), history, [&](std::int32_t next) {
                    const bool allowed =
                        std::find(whitelist.begin(), whitelist.end(), next) != whitelist.end();
                    if (next != Prompt::kNoToken && !allowed) scores[static_cast<std::size_t>(next)] = kNever;
                  });
}

/// As many numbers at a time as make a loop of instructions for several.
constexpr std::size_t kLanes = 16;

float largest_of(std::span<const float> scores) {
  std::array<float, kLanes> largest;
  largest.fill(kNever);
  std::size_t i = 0;
  for (; i + kLanes <= scores.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      largest[lane] = scores[i + lane] > largest[lane] ? scores[i + lane] : largest[lane];
  }
  for (; i < scores.size(); ++i) largest[0] = std::max(largest[0], scores[i]);
  return *std::max_element(largest.begin(), largest.end());
}

struct Candidate {
  float logit;
  std::int32_t token;
};

bool likelier(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

void keep_top_k(std::vector<Candidate>& candidates, std::size_t k) {
  if (k == 0 || k >= candidates.size()) return;
  std::nth_element(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(k - 1),
                   candidates.end(), likelier);
  const float threshold = candidates[k - 1].logit;
  std::erase_if(candidates, [&](const Candidate& c) { return c.logit < threshold; });  // equals stay
}

double weight(const Candidate& candidate, float max) {
  return std::exp(static_cast<double>(candidate.logit) - max);
}

float max_of(const std::vector<Candidate>& candidates) {
  return std::max_element(candidates.begin(), candidates.end(),
                          [](const auto& a, const auto& b) { return a.logit < b.logit; })
      ->logit;
}

/// The smallest set of likeliest candidates with at least this probability. Sorts no more than it must: the
/// likeliest 64 first, then four times as many, and so on.
void keep_top_p(std::vector<Candidate>& candidates, double top_p) {
  if (top_p >= 1) return;
  const float max = max_of(candidates);
  double total = 0;
  for (const Candidate& c : candidates) total += weight(c, max);
  double sum = 0;
  std::size_t sorted = 0;
  for (std::size_t next = 64; sorted < candidates.size(); next *= 4) {
    const std::size_t end = std::min(next, candidates.size());
    const auto at = [&](std::size_t i) { return candidates.begin() + static_cast<std::ptrdiff_t>(i); };
    std::partial_sort(at(sorted), at(end), candidates.end(), likelier);
    for (; sorted < end; ++sorted) {
      sum += weight(candidates[sorted], max);
      if (sum >= top_p * total) return candidates.resize(sorted + 1);
    }
  }
}

void keep_min_p(std::vector<Candidate>& candidates, double min_p) {
  if (min_p <= 0) return;
  const float max = max_of(candidates);
  std::erase_if(candidates, [&](const Candidate& c) { return weight(c, max) < min_p; });
}

/// Those whose information content is nearest to the entropy, up to this probability (arXiv 2202.00666).
void keep_typical(std::vector<Candidate>& candidates, double mass) {
  if (mass >= 1) return;
  const float max = max_of(candidates);
  double total = 0;
  for (const Candidate& c : candidates) total += weight(c, max);
  const double log_total = std::log(total);
  double entropy = 0;
  for (const Candidate& c : candidates) entropy -= weight(c, max) / total * (c.logit - max - log_total);
  const auto surprise = [&](const Candidate& c) { return std::abs(-(c.logit - max - log_total) - entropy); };
  std::sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
    const double sa = surprise(a), sb = surprise(b);
    return sa < sb || (sa == sb && a.token < b.token);
  });
  double sum = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    sum += weight(candidates[i], max) / total;
    if (sum >= mass) return candidates.resize(i + 1);
  }
}

std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

bool changes_scores(const GenerationConfig& config) {
  return config.repetition_penalty != 1 || config.presence_penalty != 0 || config.frequency_penalty != 0 ||
         config.no_repeat_ngram_size > 0 || config.min_new_tokens > 0 || config.min_length > 0;
}

void process_scores(const GenerationConfig& config, const Vocabulary& vocabulary, const History& history,
                    std::span<float> scores) {
  if (config.repetition_penalty != 1) {
    penalise_repetition(static_cast<float>(config.repetition_penalty), history, scores);
  }
  if (config.presence_penalty != 0 || config.frequency_penalty != 0)
    penalise_presence(config, history, scores);
  if (config.no_repeat_ngram_size > 0) {
    forbid_ngrams(config, history, scores);
  }
  const bool too_short = history.answer.size() < static_cast<std::size_t>(config.min_new_tokens) ||
                         history.size() < static_cast<std::size_t>(config.min_length);
  if (too_short || config.ignore_eos) {
    for (const std::int32_t token : vocabulary.eos) scores[static_cast<std::size_t>(token)] = kNever;
  }
  for (const std::int32_t token : vocabulary.suppressed) scores[static_cast<std::size_t>(token)] = kNever;
  for (std::size_t token = vocabulary.limit; token < scores.size(); ++token) scores[token] = kNever;
  if (const auto forced = forced_token(config, history)) {
    std::fill(scores.begin(), scores.end(), kNever);
    scores[static_cast<std::size_t>(*forced)] = 0.0f;
  }
}

bool repeats(const GenerationConfig& config, std::span<const std::int32_t> answer, std::int32_t token) {
  if (config.repetition_ngram_size == 0) return false;
  bool found = false;
  each_completion(static_cast<std::size_t>(config.repetition_ngram_size),
                  static_cast<std::size_t>(config.repetition_window), {{}, answer},
                  [&](std::int32_t next) { found = found || next == token; });
  return found;
}

std::optional<std::int32_t> forced_token(const GenerationConfig& config, const History& history) {
  // At the last place the end counts, as in transformers, which forces it after the beginning.
  if (config.forced_eos_token_id && history.answer.size() + 1 == history.most_answer_tokens)
    return *config.forced_eos_token_id;
  if (config.forced_bos_token_id && history.answer.empty()) return *config.forced_bos_token_id;
  return {};
}

bool all_finite(std::span<const float> scores) {
  std::array<float, kLanes> sums{};  // nothing times a finite number is nothing
  std::size_t i = 0;
  for (; i + kLanes <= scores.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += 0.0f * scores[i + lane];
  }
  for (; i < scores.size(); ++i) sums[0] += 0.0f * scores[i];
  return std::all_of(sums.begin(), sums.end(), [](float sum) { return sum == 0; });
}

std::int32_t argmax(std::span<const float> scores) {
  // Where the largest is, is looked up in the part that has it: that alone goes number by number.
  constexpr std::size_t kPart = 1024;
  float best = kNever;
  std::size_t from = 0;
  for (std::size_t begin = 0; begin < scores.size(); begin += kPart) {
    const auto part = scores.subspan(begin, std::min(kPart, scores.size() - begin));
    const float largest = largest_of(part);
    if (!(largest > best)) continue;
    best = largest;
    from = begin;
  }
  const auto part = scores.subspan(from, std::min(kPart, scores.size() - from));
  return static_cast<std::int32_t>(std::max_element(part.begin(), part.end()) - scores.begin());
}

std::int32_t draw(const GenerationConfig& config, std::span<const float> scores, double uniform) {
  std::vector<Candidate> candidates;
  const auto temperature = static_cast<float>(config.temperature);
  for (std::size_t token = 0; token < scores.size(); ++token) {
    if (scores[token] == kNever) continue;
    const float logit = scores[token] / temperature;
    if (!std::isfinite(logit)) return argmax(scores);  // so cold that quotients overflow: the likeliest it is
    candidates.push_back({logit, static_cast<std::int32_t>(token)});
  }
  if (candidates.empty()) return argmax(scores);
  keep_top_k(candidates, static_cast<std::size_t>(config.top_k));
  keep_top_p(candidates, config.top_p);
  keep_min_p(candidates, config.min_p);
  keep_typical(candidates, config.typical_p);
  // In order of token, so that the draw does not depend on how candidates were selected.
  std::sort(candidates.begin(), candidates.end(),
            [](const auto& a, const auto& b) { return a.token < b.token; });
  const float max = max_of(candidates);
  double total = 0;
  for (const Candidate& c : candidates) total += weight(c, max);
  double left = uniform * total;
  for (const Candidate& c : candidates) {
    left -= weight(c, max);
    if (left < 0) return c.token;
  }
  return candidates.back().token;
}

double uniform_draw(std::uint64_t seed, std::uint64_t sequence, std::uint64_t position) {
  const std::uint64_t bits = mix(mix(mix(seed) ^ sequence) ^ position);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

float log_normaliser(std::span<const float> logits) {
  const SoftmaxStats stats = simd().softmax_stats(logits.data(), logits.size());
  return stats.max + std::log(stats.sum);
}

std::vector<TokenLogprob> top_logprobs(std::span<const float> logits, std::size_t count) {
  std::vector<Candidate> candidates;
  for (std::size_t token = 0; token < logits.size(); ++token) {
    candidates.push_back({logits[token], static_cast<std::int32_t>(token)});
  }
  count = std::min(count, candidates.size());
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count),
                    candidates.end(), likelier);
  const float normaliser = log_normaliser(logits);
  std::vector<TokenLogprob> top;
  for (std::size_t i = 0; i < count; ++i)
    top.push_back({candidates[i].token, candidates[i].logit - normaliser});
  return top;
}

}  // namespace mmbatch
