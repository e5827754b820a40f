#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/matrix.h"

namespace mmbatch {

/// How rotary frequencies are stretched for contexts longer than trained on.
enum class RopeScaling {
  none,
  linear,
  dynamic_ntk,
  llama3,
  yarn,          // arXiv 2309.00071
  longrope,      // arXiv 2402.13753: other factors for sequences longer than trained on
  proportional,  // the first pairs of a head turn by the frequencies that they have in the whole of it
};

/// Where a token stands: in time, and in an image in a row and a column. In text all three are the same.
struct RopePosition {
  std::size_t time = 0, row = 0, column = 0;

  RopePosition() = default;
  RopePosition(std::size_t all) : time(all), row(all), column(all) {}  // NOLINT(runtime/explicit): text
  RopePosition(std::size_t time_, std::size_t row_, std::size_t column_)
      : time(time_), row(row_), column(column_) {}
  bool operator==(const RopePosition&) const = default;
};

/// How the frequencies of a rotary embedding are shared out among time, row and column.
enum class RopeSections {
  split,        // one section after another (arXiv 2409.12191)
  interleaved,  // time, row, column, time, … as long as a section lasts, then time
};

/// A rotary embedding that turns by three axes.
struct RopeAxes {
  RopeSections order = RopeSections::split;
  std::array<std::size_t, 3> sections = {};  // frequencies of time, row, column
  bool operator==(const RopeAxes&) const = default;

  /// Which of a position's numbers a frequency goes with.
  std::size_t RopePosition::*axis(std::size_t frequency) const;
};

/// Rotary position embedding (arXiv 2104.09864) over pairs (i, i + dims / 2) of a head's first dimensions;
/// the others stay as they are.
struct RopeConfig {
  double theta = 10000.0;
  std::size_t dims = 0;  // that are rotated, even; 0: all of a head
  RopeScaling scaling = RopeScaling::none;
  double factor = 1.0;                    // linear, dynamic_ntk, llama3, yarn, proportional
  std::size_t turning_pairs = 0;          // proportional: so many of a head's; the others stay as they are
  double low_freq_factor = 1.0;           // llama3
  double high_freq_factor = 4.0;          // llama3
  std::size_t original_positions = 8192;  // dynamic_ntk, llama3, yarn, longrope
  double beta_fast = 32.0;                // yarn: turns within original_positions
  double beta_slow = 1.0;                 // yarn
  bool whole_dims = true;                 // yarn: the ramp begins and ends at whole dimensions
  /// longrope: [dims / 2], what frequencies are divided by.
  std::vector<double> short_factors = {}, long_factors = {};
  double magnitude = 1.0;             // yarn, longrope: cosines and sines are multiplied by it
  std::optional<RopeAxes> axes = {};  // none: all frequencies go with the one position of text
  /// Queries are multiplied by 1 + beta · ln(1 + floor(position / original_positions)), so that attention
  /// does not flatten over long contexts (arXiv 2501.19399); 0: they are not.
  double query_scale_beta = 0.0;
  bool operator==(const RopeConfig&) const = default;

  /// Whether a sequence's frequencies depend on its length.
  bool depends_on_length() const {
    return scaling == RopeScaling::dynamic_ntk || scaling == RopeScaling::longrope;
  }
};

/// dims / 2 angular frequencies.
/// @param total_tokens dynamic_ntk: the length that the sequence may reach; longrope: the length that it has.
std::vector<float> rope_frequencies(const RopeConfig& config, std::size_t head_dim,
                                    std::size_t total_tokens = 0);

/// Cosines and sines of the rows of one step, made once and used by all layers.
struct RopeAngles {
  Matrix<float> cosine;                 // [rows, dims / 2]
  Matrix<float> sine;                   // [rows, dims / 2]
  std::vector<float> query_scale = {};  // [rows], what queries are multiplied by; empty: 1
  /// A head is in so many parts of the same size, each of which is rotated by itself, in pairs of its own
  /// halves, by its share of the columns.
  std::size_t parts = 1;
};

/// @param config whose magnitude cosines and sines are multiplied by, and whose axes say what goes with what
RopeAngles rope_angles(std::span<const float> frequencies, std::span<const RopePosition> positions,
                       const RopeConfig& config = {});

/// What queries are multiplied by at these positions, by query_scale_beta.
std::vector<float> query_scales(const RopeConfig& config, std::span<const RopePosition> positions);

}  // namespace mmbatch
