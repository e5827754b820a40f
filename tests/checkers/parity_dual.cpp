#include "tests/checkers/parity_dual.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/checkers/parity_compare.h"

namespace mmbatch::parity {
namespace {

std::vector<Features> check_labels(const Subject& subject, Report& report) {
  const TextStage& stage = *subject.model.texts();
  const Reference& reference = subject.reference;
  std::vector<PaddedText> ids;
  for (std::size_t i = 0; i < reference.labels.size(); ++i) {
    const LabelCase& label = reference.labels[i];
    ids.push_back(stage.tokenize(label.text, LongText::is_cut));
    report.tokens("label_ids", fmt::format("'{}'", label.text), differing(ids[i], label.ids),
                  difference_text(ids[i], label.ids, first_difference(ids[i], label.ids)));
  }
  std::vector<const PaddedText*> texts;
  for (const PaddedText& text : ids) texts.push_back(&text);
  Scratch scratch;
  const std::vector<Features> embeddings = stage.encode(texts, scratch);
  std::vector<MatrixView<const float>> rows;
  for (const Features& one : embeddings) rows.push_back(one->view());
  check_tensor(subject, "text_embeddings", stacked(rows).view(), 0, report);
  return embeddings;
}

void check_case(const Subject& subject, const ReferenceCase& one, const std::vector<Features>& labels,
                Report& report) {
  const EncodedImage image = check_images(subject, one, report).front();
  check_tensor(subject, one.name + ".image_embedding", image.features->view(), 0, report);
  std::vector<double> exact;
  std::vector<float> logits, probabilities;
  for (const Features& label : labels) {
    exact.push_back(subject.model.similarity()->logit(*image.features, *label));
    logits.push_back(static_cast<float>(exact.back()));
  }
  for (const LabelScore& score : subject.model.similarity()->scores(exact))
    probabilities.push_back(static_cast<float>(score.probability));
  check_tensor(subject, one.name + ".logits", {logits.data(), 1, logits.size()}, kLogitTolerance, report);
  const std::vector<float> expected(one.probabilities.begin(), one.probabilities.end());
  report.numbers(
      "probabilities", one.name,
      {largest_error({probabilities.data(), 1, probabilities.size()}, expected), kProbabilityTolerance});
  const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
  report.tokens("best label", one.name, one.best == best ? 0 : 1,
                fmt::format("found {}, expected {}", best, one.best.value_or(-1)));
}

}  // namespace

void check_dual(const Subject& subject, Report& report) {
  if (subject.reference.labels.empty()) return;
  const std::vector<Features> labels = check_labels(subject, report);
  for (const ReferenceCase& one : subject.reference.cases) check_case(subject, one, labels, report);
}

}  // namespace mmbatch::parity
