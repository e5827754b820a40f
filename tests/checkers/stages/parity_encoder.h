#pragma once

#include "tests/checkers/parity_stages.h"

namespace mmbatch::parity {

/// Compares what an encoder makes of a prompt, stage by stage, and what its decoder makes of that and the
/// reference's first answer tokens. Nothing for a model without an encoder.
/// @param question what the encoder reads
void check_encoder(const Subject& subject, const PreparedCase& prepared, const Prompt& question,
                   Report& report);

}  // namespace mmbatch::parity
