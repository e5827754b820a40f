#pragma once

#include <span>

#include "engine/serve/engine.h"
#include "tests/checkers/parity_stages.h"

namespace mmbatch::parity {

struct GenerationOptions {
  EngineOptions engine;
  std::size_t concurrent = 1;  // requests handed in at a time
};

/// Runs all generations of all cases through one engine, a new one as soon as one is done, and compares
/// tokens, log-probabilities and scores.
///
/// Beams of a prompt with several images may also be those that transformers' generate() really computes: it
/// repeats the list of images image by image, so that beam 0, from which the search starts, sees image i / B
/// in place i, the first image twice for a prompt with two.
EngineStats check_generations(const Subject& subject, std::span<const PreparedCase> cases,
                              const GenerationOptions& options, Report& report);

}  // namespace mmbatch::parity
