#include "tests/checkers/parity_generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <stdexcept>
#include <vector>

#include "engine/serve/logits.h"
#include "tests/checkers/beams/plain_beam_search.h"
#include "tests/checkers/parity_compare.h"

namespace mmbatch::parity {
namespace {

struct Job {
  const PreparedCase* prepared;
  const ExpectedGeneration* expected;
  std::shared_ptr<const Prompt> prompt;
  Result<Completion> done;
};

Vocabulary vocabulary_of(const Model& model) {
  return {model.writable_rows(), model.spec().suppressed, model.spec().eos};
}

/// The prompt that transformers' beams start from; null where it is the case's own.
std::shared_ptr<const Prompt> prompt_of_first_beam(const Model& model, const PreparedCase& prepared,
                                                   std::size_t beams) {
  if (prepared.images.size() < 2 || beams < 2) return nullptr;
  std::vector<EncodedImage> images;
  for (std::size_t i = 0; i < prepared.images.size(); ++i) images.push_back(prepared.images[i / beams]);
  return model.compose(prepared.text_ids, images);
}

class Comparison {
 public:
  Comparison(const Subject& subject, const Job& job, Report& report)
      : subject_(subject), job_(job), expected_(*job.expected), report_(report) {}

  void compare() {
    if (!job_.done) return report_.failure(expected_.key, what(), job_.done.error().message);
    if (expected_.beams()) return report_beams(beams());
    compare_tokens(job_.done.value().answers.front());
  }
  /// True for beams that are as they should be.
  bool beams_fit() const {
    if (!job_.done) return false;
    const BeamComparison result = beams();
    return result.differing == 0 && result.score_error <= kScoreTolerance;
  }

 private:
  std::string what() const { return job_.prepared->reference->name; }

  /// The answer as transformers returns it. Which end of sequence it was, the engine does not say.
  std::vector<std::int32_t> with_end(const Answer& answer) const {
    std::vector<std::int32_t> tokens = answer.tokens;
    if (answer.finish_reason == FinishReason::length && expected_.settings.forced_eos_token_id)
      tokens.push_back(*expected_.settings.forced_eos_token_id);
    if (answer.finish_reason != FinishReason::stop) return tokens;
    const std::vector<std::int32_t>& eos = subject_.model.spec().eos;
    for (const ExpectedSequence& sequence : expected_.sequences) {
      const auto& other = sequence.tokens;
      if (other.size() != tokens.size() + 1 || !std::equal(tokens.begin(), tokens.end(), other.begin()))
        continue;
      if (std::find(eos.begin(), eos.end(), other.back()) == eos.end()) continue;
      tokens.push_back(other.back());
      return tokens;
    }
    tokens.push_back(eos.empty() ? -1 : eos.front());
    return tokens;
  }

  BeamComparison beams() const {
    std::vector<FoundBeam> found;
    for (const Answer& answer : job_.done.value().answers) found.push_back({with_end(answer), answer.score});
    BeamComparison result = compare_with(found, expected_.sequences);
    if (result.differing > 0 && ties_lead_to(found)) result.differing = 0;
    return result;
  }

  BeamComparison compare_with(std::span<const FoundBeam> found,
                              std::span<const ExpectedSequence> expected) const {
    return compare_beams(found, expected, expected_.settings.length_penalty,
                         [this](std::span<const std::int32_t> tokens) { return score_of(tokens); });
  }

  /// Whether the found and the expected beams are both what a plain search by this model's logits finds, ties
  /// on its way decided one way or the other: of continuations nearer than kTie either may go on.
  bool ties_lead_to(const std::vector<FoundBeam>& found) const {
    constexpr std::size_t kMostSearches = 32;
    std::vector<FoundBeam> expected;
    for (const ExpectedSequence& one : expected_.sequences) {
      if (!(std::abs(score_of(one.tokens) - one.score) <= kScoreTolerance)) return false;
      expected.push_back({one.tokens, one.score});
    }
    std::map<std::vector<std::int32_t>, std::vector<float>> known;
    const Vocabulary vocabulary = vocabulary_of(subject_.model);
    const std::span<const std::int32_t> prompt = job_.prompt->decoder_ids();
    const testing::PlainBeamSearch plain{.config = expected_.settings,
                                         .vocabulary = vocabulary,
                                         .prompt = {prompt.begin(), prompt.end()},
                                         .logits_behind =
                                             [&](const std::vector<std::int32_t>& answer) {
                                               std::vector<float>& row = known[answer];
                                               if (row.empty()) row = last_logits(answer);
                                               return row;
                                             },
                                         .tie = kTie};
    bool finds_expected = false, finds_found = false;
    std::vector<std::vector<bool>> waiting = {{}};
    for (std::size_t i = 0; i < waiting.size() && i < kMostSearches; ++i) {
      const auto outcome = plain.search(waiting[i]);
      for (std::vector<bool> next = waiting[i]; next.size() < outcome.ties; next.back() = false) {
        next.push_back(true);
        waiting.push_back(next);
      }
      std::vector<ExpectedSequence> beams;
      for (const testing::Hypothesis& one : outcome.finished) beams.push_back({one.tokens, one.score});
      finds_found |= compare_with(found, beams).differing == 0;
      finds_expected |= compare_with(expected, beams).differing == 0;
      if (finds_found && finds_expected) return true;
    }
    return false;
  }

  std::vector<float> last_logits(const std::vector<std::int32_t>& answer) const {
    const Matrix<float> logits = compute_logits(subject_, *job_.prompt, answer, 1);
    return {logits.row(0), logits.row(0) + logits.cols()};
  }

  History history(std::span<const std::int32_t> answer) const {
    return {job_.prompt->decoder_ids(), answer, static_cast<std::size_t>(expected_.settings.max_new_tokens)};
  }

  /// The score of a whole beam, computed in one piece.
  double score_of(std::span<const std::int32_t> tokens) const {
    if (tokens.empty()) return NAN;
    const Matrix<float> logits =
        compute_logits(subject_, *job_.prompt, tokens.first(tokens.size() - 1), tokens.size());
    double sum = 0.0;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const std::span<const float> row(logits.row(i), logits.cols());
      if (forced_token(expected_.settings, history(tokens.first(i)))) continue;  // certain
      if (tokens[i] < 0 || static_cast<std::size_t>(tokens[i]) >= row.size()) return NAN;
      sum += row[static_cast<std::size_t>(tokens[i])] - log_normaliser(row);
    }
    return sum / std::pow(static_cast<double>(tokens.size()), expected_.settings.length_penalty);
  }

  void report_beams(const BeamComparison& result) {
    report_.numbers(expected_.key, what() + " scores", {result.score_error, kScoreTolerance});
    report_.tokens(expected_.key, what(), result.differing, result.details);
  }

  void compare_tokens(const Answer& answer) {
    const std::vector<std::int32_t>& expected = expected_.sequences.front().tokens;
    const std::vector<std::int32_t> found = with_end(answer);
    // A search that ended for its length may have been shorter than this one.
    const std::span shown(found.data(), std::min(found.size(), expected.size()));
    const std::size_t first = first_difference(shown, expected);
    const std::size_t count =
        first == expected.size() || is_tie(found, first) ? 0 : differing(shown, expected);
    report_.tokens(expected_.key, what(), count, difference_text(found, expected, first));
    if (expected_.logprobs.empty()) return;
    double error = 0.0;
    const std::size_t known = std::min({first, expected_.logprobs.size(), answer.logprobs.size()});
    for (std::size_t i = 0; i < known; ++i) {
      const double one = std::abs(static_cast<double>(answer.logprobs[i]) - expected_.logprobs[i]);
      if (!(one <= error)) error = one;
    }
    report_.numbers(expected_.key, what() + " log-probabilities", {error, kLogitTolerance});
  }

  /// Whether the sequences may part at `position`: by the stored margins up to it, or where there are none,
  /// by this model's own scores of the two tokens.
  bool is_tie(const std::vector<std::int32_t>& found, std::size_t position) const {
    if (expected_.settings.num_beams > 1) return false;
    if (!expected_.margins.empty()) {
      const std::size_t end = std::min(position + 1, expected_.margins.size());
      return std::any_of(expected_.margins.begin(),
                         expected_.margins.begin() + static_cast<std::ptrdiff_t>(end),
                         [](double margin) { return margin <= kTie; });
    }
    const std::vector<std::int32_t>& expected = expected_.sequences.front().tokens;
    if (position >= found.size() || position >= expected.size()) return false;
    const Prompt& prompt = *job_.prompt;
    const std::span common(expected.data(), position);
    Matrix<float> logits = compute_logits(subject_, prompt, common, 1);
    const std::span scores(logits.row(0), logits.cols());
    process_scores(expected_.settings, vocabulary_of(subject_.model), history(common), scores);
    const auto outside = [&](std::int32_t id) {
      return id < 0 || static_cast<std::size_t>(id) >= scores.size();
    };
    if (outside(found[position]) || outside(expected[position])) return false;
    return std::abs(scores[static_cast<std::size_t>(found[position])] -
                    scores[static_cast<std::size_t>(expected[position])]) <= kTie;
  }

  const Subject& subject_;
  const Job& job_;
  const ExpectedGeneration& expected_;
  Report& report_;
};

/// All requests, `concurrent` of them at a time.
void run(Engine& engine, std::vector<Job>& jobs, std::size_t concurrent) {
  std::size_t next = 0, running = 0;
  while (next < jobs.size() || running > 0) {
    while (running < concurrent && next < jobs.size()) {
      Job& job = jobs[next++];
      ++running;
      Request request;
      request.prompt = job.prompt;
      request.generation = job.expected->settings;
      request.on_done = [&running, &job](Result<Completion> completion) {
        job.done = std::move(completion);
        --running;
      };
      engine.submit(std::move(request));
    }
    if (!engine.step() && running > 0) throw std::runtime_error("the engine stopped with requests left");
  }
}

}  // namespace

EngineStats check_generations(const Subject& subject, std::span<const PreparedCase> cases,
                              const GenerationOptions& options, Report& report) {
  const Error no_answer{ErrorCode::internal, "no answer"};
  std::vector<Job> jobs;
  for (const PreparedCase& prepared : cases) {
    for (const ExpectedGeneration& generation : prepared.reference->generations) {
      jobs.push_back({&prepared, &generation, prepared.prompt, no_answer});
      auto other = prompt_of_first_beam(subject.model, prepared,
                                        static_cast<std::size_t>(generation.settings.num_beams));
      if (other) jobs.push_back({&prepared, &generation, std::move(other), no_answer});
    }
  }
  Engine engine(subject.model.decoder(), vocabulary_of(subject.model), options.engine);
  run(engine, jobs, options.concurrent);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const bool has_other = i + 1 < jobs.size() && jobs[i + 1].expected == jobs[i].expected;
    Comparison own(subject, jobs[i], report);
    if (!has_other) {
      own.compare();
      continue;
    }
    Comparison of_first_beam(subject, jobs[++i], report);
    (of_first_beam.beams_fit() ? of_first_beam : own).compare();
  }
  return engine.stats();
}

}  // namespace mmbatch::parity
