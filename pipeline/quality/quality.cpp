#include "pipeline/quality/quality.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ostream>

#include "engine/base/threads.h"
#include "engine/kernels/product/precision_choice.h"
#include "jobs/metrics/metrics.h"
#include "pipeline/quality/quality_trace.h"
#include "pipeline/stages/decode.h"

namespace mmbatch {
namespace {

/// Logits of float32 that are kept for all prompts together.
constexpr std::size_t kLogitBytes = std::size_t{512} << 20;

/// Adds up a difference and what it is to be seen against.
class RelativeError {
 public:
  void add(const float* reference, const float* tried, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const double expected = reference[i], difference = tried[i] - expected;
      squares_ += expected * expected;
      error_squares_ += difference * difference;
    }
  }
  double value() const { return squares_ > 0 ? std::sqrt(error_squares_ / squares_) : 0; }

 private:
  double squares_ = 0, error_squares_ = 0;
};

/// Compares rows of logits over the tokens that may be generated.
class LogitComparison {
 public:
  explicit LogitComparison(const Vocabulary& vocabulary) {
    for (std::size_t id = 0; id < vocabulary.limit; ++id) {
      const auto& barred = vocabulary.suppressed;
      if (std::find(barred.begin(), barred.end(), static_cast<std::int32_t>(id)) == barred.end())
        allowed_.push_back(id);
    }
  }

  void add(const float* reference, const float* tried) {
    std::vector<double> p = gathered(reference), q = gathered(tried);
    for (std::size_t i = 0; i < p.size(); ++i) {
      squares_of_error_ += (q[i] - p[i]) * (q[i] - p[i]);
      largest_error_ = std::max(largest_error_, std::abs(q[i] - p[i]));
    }
    double mean = 0, square = 0;
    for (const double logit : p) mean += logit / static_cast<double>(p.size());
    for (const double logit : p) square += (logit - mean) * (logit - mean);
    squares_ += square;
    same_ +=
        std::max_element(p.begin(), p.end()) - p.begin() == std::max_element(q.begin(), q.end()) - q.begin();
    to_log_probabilities(p);
    to_log_probabilities(q);
    double kl = 0;
    for (std::size_t i = 0; i < p.size(); ++i) kl += std::exp(p[i]) * (p[i] - q[i]);
    kl_sum_ += std::max(kl, 0.0);
    largest_kl_ = std::max(largest_kl_, kl);
    ++positions_;
  }

  void report(QualityReport& report) const {
    report.positions = positions_;
    if (positions_ == 0) return;
    const auto count = static_cast<double>(positions_);
    report.logits = squares_ > 0 ? std::sqrt(squares_of_error_ / squares_) : 0;
    report.largest_logit_error = largest_error_;
    report.logit_rms = std::sqrt(squares_ / (count * static_cast<double>(allowed_.size())));
    report.same_token = static_cast<double>(same_) / count;
    report.mean_kl = kl_sum_ / count;
    report.largest_kl = largest_kl_;
  }

 private:
  std::vector<double> gathered(const float* logits) const {
    std::vector<double> values;
    values.reserve(allowed_.size());
    for (const std::size_t id : allowed_) values.push_back(logits[id]);
    return values;
  }
  static void to_log_probabilities(std::vector<double>& logits) {
    const double largest = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const double logit : logits) sum += std::exp(logit - largest);
    for (double& logit : logits) logit -= largest + std::log(sum);
  }

  std::vector<std::size_t> allowed_;
  std::size_t positions_ = 0, same_ = 0;
  double squares_ = 0, squares_of_error_ = 0, largest_error_ = 0, kl_sum_ = 0, largest_kl_ = 0;
};

void compare_values(const std::vector<QualityTrace>& reference, const std::vector<QualityTrace>& tried,
                    const ModelSpec& spec, QualityReport& report) {
  const std::size_t layers = spec.decoder.layers.size();
  const std::size_t vision_layers = spec.vision ? spec.vision->encoder.run_layers : 0;
  RelativeError features;
  bool seen = false, layers_seen = false;
  std::vector<RelativeError> by_layer(layers), by_vision_layer(vision_layers);
  for (std::size_t i = 0; i < reference.size(); ++i) {
    for (std::size_t k = 0; k < reference[i].image_features.size(); ++k) {
      const Matrix<float>&expected = *reference[i].image_features[k], &got = *tried[i].image_features[k];
      features.add(expected.data(), got.data(), expected.rows() * expected.cols());
      seen = true;
    }
    const auto compare = [](const std::vector<Matrix<float>>& expected, const std::vector<Matrix<float>>& got,
                            std::vector<RelativeError>& errors) {
      for (std::size_t k = 0; k < expected.size(); ++k) {
        errors[k % errors.size()].add(expected[k].data(), got[k].data(),
                                      expected[k].rows() * expected[k].cols());
      }
    };
    layers_seen = layers_seen || !reference[i].vision_layers.empty();
    compare(reference[i].vision_layers, tried[i].vision_layers, by_vision_layer);
    compare(reference[i].layers, tried[i].layers, by_layer);
  }
  if (seen) report.image_features = features.value();
  for (const RelativeError& error : by_vision_layer) {
    if (layers_seen) report.vision_layers.push_back(error.value());
  }
  for (const RelativeError& error : by_layer) report.layers.push_back(error.value());
}

void compare_answers(const std::vector<QualityItem>& items, const std::vector<QualityTrace>& reference,
                     const std::vector<QualityTrace>& tried, QualityReport& report) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    report.equal_answers += tried[i].answer == reference[i].answer ? 1 : 0;
    const auto score = score_answer(tried[i].text, items[i].references);
    if (!score) continue;
    ++report.scored;
    report.correct += score->correct ? 1 : 0;
    report.correct_f32 += score_answer(reference[i].text, items[i].references)->correct ? 1 : 0;
  }
}

}  // namespace

QualityReport measure_quality(const QualityOptions& options) {
  Arena arena(options.threads);
  const std::shared_ptr<const ModelFiles>& files = options.files;
  if (files->spec.dual)
    throw UsageError(fmt::format("{}: only models with a decoder can be compared", files->folder.string()));
  const std::vector<QualityItem> items = quality_items(options, *files);
  TraceLimits limits;
  const std::size_t logit_row = files->spec.decoder.vocab * sizeof(float) * items.size();
  limits.positions = std::clamp<std::size_t>(kLogitBytes / logit_row, 1, limits.positions);

  QualityReport report;
  report.precision = precision_text(options.precision, options.kv_precision);
  if (options.smoothing != nullptr) report.precision += ", smoothed";
  report.items = items.size();
  std::vector<QualityTrace> reference, tried;
  // One after the other: both at once may be more than the memory holds.
  arena.run([&] {
    const Model model(files, Precision::f32);
    reference = trace_items(model, KvPrecision::f32, items, nullptr, limits);
  });
  arena.run([&] {
    WeightHooks hooks;
    hooks.smoothing = options.smoothing;
    const Model model(files, options.precision, std::move(hooks));
    tried = trace_items(model, options.kv_precision, items, &reference, limits);
    LogitComparison logits(vocabulary_of(model));
    for (std::size_t i = 0; i < items.size(); ++i) {
      for (std::size_t row = 0; row < reference[i].logits.rows(); ++row)
        logits.add(reference[i].logits.row(row), tried[i].logits.row(row));
    }
    logits.report(report);
  });
  compare_values(reference, tried, files->spec, report);
  compare_answers(items, reference, tried, report);
  return report;
}

void print(const QualityReport& report, std::ostream& out) {
  const auto percent = [](double share) { return fmt::format("{:.2f} %", share * 100); };
  out << fmt::format("{} against f32: {} prompts, {} next tokens\n\n", report.precision, report.items,
                     report.positions);
  out << "relative error (RMS)\n";
  for (std::size_t layer = 0; layer < report.vision_layers.size(); ++layer)
    out << fmt::format("  vision layer {:<3}     {:>8}\n", layer + 1, percent(report.vision_layers[layer]));
  if (report.image_features)
    out << fmt::format("  image features       {:>8}\n", percent(*report.image_features));
  for (std::size_t layer = 0; layer < report.layers.size(); ++layer)
    out << fmt::format("  layer {:<3} keys, values {:>6}\n", layer + 1, percent(report.layers[layer]));
  out << fmt::format(
      "  logits               {:>8}; the largest error is {:.3g}, where logits spread by {:.3g}\n",
      percent(report.logits), report.largest_logit_error, report.logit_rms);
  out << fmt::format(
      "next token             the likeliest is the same in {}; KL divergence {:.3g} on average, {:.3g} at "
      "most\n",
      percent(report.same_token), report.mean_kl, report.largest_kl);
  out << fmt::format("greedy answers         {} of {} equal\n", report.equal_answers, report.items);
  if (report.scored > 0) {
    out << fmt::format("correct answers        {} of {}; in f32 {}\n", report.correct, report.scored,
                       report.correct_f32);
  }
}

}  // namespace mmbatch
