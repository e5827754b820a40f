#include "tests/checkers/stages/parity_encoder.h"

#include <string>

#include "tests/checkers/parity_compare.h"

namespace mmbatch::parity {
namespace {

/// Compares with whichever of two names the reference has.
struct Stages {
  const Subject& subject;
  const std::string& name;
  Report& report;

  void compare(const char* one, const char* other, MatrixView<const float> rows) const {
    check_tensor(subject, name + one, rows, 0, report);
    check_tensor(subject, name + other, rows, 0, report);
  }
};

}  // namespace

void check_encoder(const Subject& subject, const PreparedCase& prepared, const Prompt& question,
                   Report& report) {
  const PromptEncoder* encoder = subject.model.encoder();
  if (encoder == nullptr) return;
  const ReferenceCase& reference_case = *prepared.reference;
  const Stages stages{subject, reference_case.name, report};
  Scratch scratch;
  bool first_layer = true;
  scratch.on_input = [&](Scratch::Before, MatrixView<const float> rows) {
    stages.compare(".question_embeddings", ".encoder_embeddings", rows);
  };
  scratch.on_part = [&](Scratch::Part part, MatrixView<const float> rows) {
    if (!first_layer) return;
    const bool cross = part == Scratch::Part::cross_attention;
    const std::string stage = cross ? ".question_cross_attention0" : ".question_self_attention0";
    check_tensor(subject, reference_case.name + stage, rows, 0, report);
  };
  scratch.on_layer = [&](std::size_t layer, MatrixView<const float> rows) {
    first_layer = false;
    if (layer == 0) stages.compare(".question_layer0", ".encoder_layer0", rows);
  };
  const auto prompt = encoder->encode(question, prepared.images, scratch);
  stages.compare(".question_features", ".encoder_output", prompt->features.front().rows->view());

  if (reference_case.decoder_ids.empty()) return;
  const std::span read(reference_case.decoder_ids);
  Scratch decoding;
  decoding.on_layer = [&](std::size_t layer, MatrixView<const float> rows) {
    if (layer == 0 && rows.rows == read.size())
      check_tensor(subject, reference_case.name + ".decoder_layer0", rows, 0, report);
  };
  const Matrix<float> logits = compute_logits(subject, *prompt, read.subspan(1), read.size(), decoding);
  report.tokens("decoder_start", reference_case.name, prompt->ids.back() == read.front() ? 0 : 1,
                std::to_string(prompt->ids.back()));
  check_tensor(subject, reference_case.name + ".logits", logits.view(), kLogitTolerance, report);
}

}  // namespace mmbatch::parity
