#include "tests/checkers/parity_compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace mmbatch::parity {

double largest_error(MatrixView<const float> found, std::span<const float> expected) {
  if (found.rows * found.cols != expected.size()) return INFINITY;
  double largest = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double error =
        std::abs(static_cast<double>(found.row(i / found.cols)[i % found.cols]) - expected[i]);
    if (!(error <= largest)) largest = error;
    if (std::isnan(error)) break;
  }
  return largest;
}

double feature_tolerance(std::span<const float> expected) {
  double largest = 1.0;
  for (const float value : expected) largest = std::max(largest, std::abs(static_cast<double>(value)));
  return kFeatureTolerance * largest;
}

std::size_t differing(std::span<const std::int32_t> found, std::span<const std::int32_t> expected) {
  const std::size_t both = std::min(found.size(), expected.size());
  std::size_t count = std::max(found.size(), expected.size()) - both;
  for (std::size_t i = 0; i < both; ++i) count += found[i] != expected[i] ? 1 : 0;
  return count;
}

std::size_t first_difference(std::span<const std::int32_t> found, std::span<const std::int32_t> expected) {
  const auto [a, b] = std::mismatch(found.begin(), found.end(), expected.begin(), expected.end());
  return static_cast<std::size_t>(a - found.begin());
}

std::string difference_text(std::span<const std::int32_t> found, std::span<const std::int32_t> expected,
                            std::size_t from) {
  const auto around = [&](std::span<const std::int32_t> ids) {
    const std::size_t begin = std::min(from > 3 ? from - 3 : 0, ids.size());
    const std::size_t end = std::min(from + 8, ids.size());
    std::string text = begin > 0 ? "…" : "";
    for (std::size_t i = begin; i < end; ++i) text += fmt::format(" {}", ids[i]);
    return text + (end < ids.size() ? " …" : "");
  };
  return fmt::format("from position {} of {}: found{} expected{}", from, expected.size(), around(found),
                     around(expected));
}

namespace {

/// Which expected beam each found one is; none where there is no such one in its place.
std::vector<std::optional<std::size_t>> match_beams(
    std::span<const FoundBeam> found, std::span<const ExpectedSequence> expected,
    const std::function<bool(std::size_t, std::size_t)>& may_change_places) {
  std::vector<std::optional<std::size_t>> matches(found.size());
  std::vector<bool> taken(expected.size(), false);
  for (std::size_t rank = 0; rank < found.size(); ++rank) {
    for (std::size_t other = 0; other < expected.size() && !matches[rank]; ++other) {
      if (taken[other] || found[rank].tokens != expected[other].tokens) continue;
      if (other == rank || may_change_places(other, rank)) matches[rank] = other;
    }
    if (matches[rank]) taken[*matches[rank]] = true;
  }
  return matches;
}

}  // namespace

BeamComparison compare_beams(std::span<const FoundBeam> found, std::span<const ExpectedSequence> expected,
                             double length_penalty,
                             const std::function<double(std::span<const std::int32_t>)>& score_of) {
  BeamComparison result;
  if (found.size() != expected.size()) {
    result.score_error = INFINITY;
    for (const ExpectedSequence& beam : expected) result.differing += beam.tokens.size();
    result.details = fmt::format("{} beams instead of {}", found.size(), expected.size());
    return result;
  }
  const auto tied = [&](double a, double b, std::size_t length) {
    return std::abs(a - b) * std::pow(static_cast<double>(length), length_penalty) <= kTie;
  };
  const auto matches = match_beams(found, expected, [&](std::size_t a, std::size_t b) {
    return tied(expected[a].score, expected[b].score, expected[b].tokens.size());
  });
  /// Expected beams that may have fallen out at the end.
  const auto may_be_missing = [&](std::size_t index) {
    const ExpectedSequence& beam = expected[index];
    return tied(beam.score, expected.back().score, beam.tokens.size()) &&
           std::abs(score_of(beam.tokens) - beam.score) <= kScoreTolerance;
  };
  bool ties_at_end = true;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (std::find(matches.begin(), matches.end(), i) == matches.end()) ties_at_end &= may_be_missing(i);
  }
  for (std::size_t rank = 0; rank < found.size(); ++rank) {
    const FoundBeam& beam = found[rank];
    const ExpectedSequence& same_rank = expected[rank];
    const double score_error = std::abs(beam.score - same_rank.score);
    if (!(score_error <= result.score_error)) result.score_error = score_error;
    if (matches[rank]) continue;
    const auto is_same = [&](const auto& other) { return other.tokens == beam.tokens; };
    const bool is_new = std::none_of(expected.begin(), expected.end(), is_same) &&
                        std::count_if(found.begin(), found.end(), is_same) == 1;
    if (ties_at_end && is_new && tied(beam.score, expected.back().score, beam.tokens.size())) continue;
    result.differing += std::max<std::size_t>(1, differing(beam.tokens, same_rank.tokens));
    const std::size_t first = first_difference(beam.tokens, same_rank.tokens);
    result.details +=
        fmt::format("{}beam {} (score {:.5f}, expected {:.5f}) {}", rank == 0 ? "" : "; ", rank, beam.score,
                    same_rank.score, difference_text(beam.tokens, same_rank.tokens, first));
  }
  return result;
}

}  // namespace mmbatch::parity
