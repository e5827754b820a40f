#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fusion/model.h"
#include "tests/checkers/parity_reference.h"
#include "tests/checkers/parity_report.h"

namespace mmbatch::parity {

/// What every check works with.
struct Subject {
  const Model& model;
  const Reference& reference;
  AttentionKernel attention = AttentionKernel::flash;
};

/// Compares with a tensor of the reference, where there is such a one; the stage is what follows the
/// dot.
/// @param allowed the tolerance; 0 stands for the one of features
void check_tensor(const Subject& subject, const std::string& name, MatrixView<const float> found,
                  double allowed, Report& report);

/// The rows of all parts below each other.
Matrix<float> stacked(std::span<const MatrixView<const float>> parts);

/// The images of a case, preprocessed and encoded: pixel values, vision features, projected features.
std::vector<EncodedImage> check_images(const Subject& subject, const ReferenceCase& reference_case,
                                       Report& report);

/// Texts to ids and back.
void check_tokenizer(const Subject& subject, Report& report);

/// A case, and what its prompt is made of.
struct PreparedCase {
  const ReferenceCase* reference = nullptr;
  std::vector<std::int32_t> text_ids;
  std::vector<EncodedImage> images;
  std::shared_ptr<const Prompt> prompt;
};

/// Everything up to the prompt of one case, and the prompt's logits: pixel values, vision features, projected
/// features, ids, logits. None when there is no prompt to continue.
std::optional<PreparedCase> check_prompt(const Subject& subject, const ReferenceCase& reference_case,
                                         Report& report);

/// Raw logits of the last `rows` positions of prompt and answer, computed in one piece: [rows, vocab]
Matrix<float> compute_logits(const Subject& subject, const Prompt& prompt,
                             std::span<const std::int32_t> answer, std::size_t rows, Scratch& scratch);
Matrix<float> compute_logits(const Subject& subject, const Prompt& prompt,
                             std::span<const std::int32_t> answer, std::size_t rows);

}  // namespace mmbatch::parity
