#pragma once

#include <string>

#include "bench/inputs/decoder_steps.h"

namespace mmbatch::bench {

/// Shape of the checkpoint whose decoder several processes compute.
std::string together_model(const Session& session);
/// Positions that the cache of the steps below holds.
std::size_t together_cached(const Session& session);
/// Times a prompt and steps of several sequences.
/// @param who what the cases' names begin with, such as "2 processes"
void measure_together(Session& session, DecoderSteps& steps, const std::string& who);

}  // namespace mmbatch::bench
