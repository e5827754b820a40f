#pragma once

#include "tests/checkers/parity_stages.h"

namespace mmbatch::parity {

/// Compares what stands between prompt and logits: positions, embeds, layer0, layers_last. Nothing where the
/// reference has none of them.
void check_layers(const Subject& subject, const ReferenceCase& reference_case, const Prompt& prompt,
                  Report& report);

}  // namespace mmbatch::parity
