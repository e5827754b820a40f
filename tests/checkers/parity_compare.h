#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/matrix.h"
#include "tests/checkers/parity_reference.h"
#include "tests/checkers/parity_report.h"

// The tolerances: how results in float32 may differ from transformers' and still be the same.

namespace mmbatch::parity {

inline constexpr double kPixelTolerance = 1e-5;
inline constexpr double kFeatureTolerance =
    1e-4;  // times the largest expected value, which counts 1 at least
inline constexpr double kLogitTolerance = 5e-3;
inline constexpr double kProbabilityTolerance = 1e-4;
inline constexpr double kScoreTolerance = 1e-3;  // of beams
inline constexpr double kTie = 5e-3;  // in logits or summed log-probabilities: either may come first

/// The largest absolute difference; infinite for another number of elements.
double largest_error(MatrixView<const float> found, std::span<const float> expected);
/// 1e-4 · max(1, largest |expected|)
double feature_tolerance(std::span<const float> expected);

/// Positions at which the two differ; what only one of them has counts.
std::size_t differing(std::span<const std::int32_t> found, std::span<const std::int32_t> expected);
/// The first position at which they differ; the length of both when they do not.
std::size_t first_difference(std::span<const std::int32_t> found, std::span<const std::int32_t> expected);
/// "found 1 2 3, expected 1 2 4", shortened around position `from`.
std::string difference_text(std::span<const std::int32_t> found, std::span<const std::int32_t> expected,
                            std::size_t from);

/// A beam that was found, its end of sequence included.
struct FoundBeam {
  std::vector<std::int32_t> tokens;
  double score = 0.0;
};

struct BeamComparison {
  double score_error = 0.0;   // the largest, rank by rank
  std::size_t differing = 0;  // tokens
  std::string details;
};

/// All beams against all beams. Beams nearer than kTie to one another may be in any order, and one that
/// near to the last may take its place, if the one that fell out is what it is said to be.
/// @param score_of the score of a sequence by this project's own logits
BeamComparison compare_beams(std::span<const FoundBeam> found, std::span<const ExpectedSequence> expected,
                             double length_penalty,
                             const std::function<double(std::span<const std::int32_t>)>& score_of);

}  // namespace mmbatch::parity
