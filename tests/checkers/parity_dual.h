#pragma once

#include "tests/checkers/parity_stages.h"

namespace mmbatch::parity {

/// All that a dual encoder computes: label ids, embeddings of labels and images, logits, probabilities, and
/// which label is the best.
void check_dual(const Subject& subject, Report& report);

}  // namespace mmbatch::parity
