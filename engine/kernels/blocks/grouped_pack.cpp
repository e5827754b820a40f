// Small numbers and their scales into the units of grouped_panel.h.

#include "engine/kernels/blocks/grouped_pack.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <vector>

#include "engine/base/error.h"
#include "engine/kernels/blocks/code_words.h"
#include "engine/kernels/blocks/grouped_matmul.h"
#include "engine/kernels/panel.h"
#include "engine/weights/groups/e4m3.h"

namespace mmbatch {
namespace {

constexpr std::size_t kStrip = Panel::kStrip;

bool is_finite_half(std::uint16_t half) {
  return (half & 0x7c00u) != 0x7c00u;
}

bool finite_halves(const std::byte* at, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t half;
    std::memcpy(&half, at + 2 * i, 2);
    if (!is_finite_half(half)) return false;
  }
  return true;
}

bool finite_singles(const std::byte* at, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    float scale;
    std::memcpy(&scale, at + 4 * i, 4);
    if (!std::isfinite(scale)) return false;
  }
  return true;
}

/// The numbers of some columns.
class Columns {
 public:
  Columns(const Grouping& grouping, const TileShape& shape)
      : grouping_(grouping), in_((shape.in + grouping.span() - 1) / grouping.span() * grouping.span()) {
    const std::size_t all = in_ * shape.columns, spans = all / grouping.span();
    const bool two = grouping.levels == Grouping::Levels::two, floors = grouping.has_floors();
    const std::size_t groups = two ? all / grouping.group : 0;
    codes_.resize(all);
    scales_.resize(grouping.has_singles() ? 0 : spans);
    singles_.resize(grouping.has_singles() ? spans : 0);
    floors_.resize(floors ? spans : 0);
    small_scales_.resize(groups);
    small_floors_.resize(floors ? groups : 0);
  }

  std::size_t in() const { return in_; }
  /// Where those from a column on are.
  GroupedValues values(std::size_t column) {
    const auto data = [](auto& vector) { return vector.empty() ? nullptr : vector.data(); };
    const GroupedValues first{codes_.data(),       data(scales_),       data(floors_),
                              data(small_scales_), data(small_floors_), data(singles_)};
    return first.behind(grouping_, column * in_);
  }
  bool finite() const {
    return std::all_of(scales_.begin(), scales_.end(), is_finite_half) &&
           std::all_of(floors_.begin(), floors_.end(), is_finite_half) &&
           std::all_of(singles_.begin(), singles_.end(), [](float scale) { return std::isfinite(scale); }) &&
           (grouping_.codes == Grouping::Codes::integers ||
            std::none_of(codes_.begin(), codes_.end(), is_e4m3_nan));
  }

  /// Columns [begin, end) of a strip, its first ones, unit by unit: what is written stays in the first-level
  /// cache.
  /// @param strip of the tile; zeros where it has more columns or inputs
  void put(const GroupedPanel& panel, std::size_t begin, std::size_t end, std::byte* strip) const {
    for (std::size_t first = 0; first < in_; first += panel.unit_inputs, strip += panel.unit_bytes) {
      const std::size_t count = std::min(panel.unit_inputs, in_ - first);
      for (std::size_t i = 0; i < count; i += 32)
        put_group(panel.bits, {begin, first + i, end - begin}, strip + i * kStrip * panel.bits / 8);
      for (std::size_t column = begin; column < end; ++column)
        put_scales(panel, {column, first, count}, strip + panel.unit_code_bytes);
    }
  }

  /// The same in a panel of eight-bit floats.
  void put_floats(std::size_t begin, std::size_t end, std::byte* strip) const {
    constexpr std::size_t kPart = Panel::kDepthStep, kCodes = kPart * kStrip;
    for (std::size_t first = 0; first < in_; first += kPart, strip += Panel::e4m3_bytes(kPart)) {
      for (std::size_t i = first; i < std::min(first + kPart, in_); i += 32)
        put_group(8, {begin, i, end - begin}, strip + (i - first) * kStrip);
      for (std::size_t column = begin; column < end; ++column) {
        const float scale = singles_[(column * in_ + first) / grouping_.span()];
        std::memcpy(strip + kCodes + column % kStrip * sizeof(float), &scale, sizeof(float));
      }
    }
  }

  /// As a column of int8's panel.  @param strip of the tile, of `depth` inputs; codes of zeros before
  void put_row(std::size_t column, std::size_t depth, std::byte* strip) const {
    const std::size_t place = column % kStrip;
    for (std::size_t step = 0; step < in_ / 4; ++step) {
      std::uint32_t word;
      std::memcpy(&word, &codes_[column * in_ + 4 * step], 4);
      put_word(strip, step, place, word);
    }
    std::memcpy(strip + depth * kStrip + place * sizeof(float), &singles_[column * in_ / 32], sizeof(float));
  }

 private:
  /// 32 inputs of some columns.
  struct Group {
    std::size_t column, first, columns;
  };

  void put_group(unsigned bits, const Group& group, std::byte* to) const {
    const std::uint8_t* codes = &codes_[group.column * in_ + group.first];
    std::size_t column = 0;
    for (; column + 4 <= group.columns; column += 4)
      put_codes_of_four(bits, codes + column * in_, in_, to + column * sizeof(std::uint32_t));
    for (; column < group.columns; ++column)
      put_codes(bits, codes + column * in_, to + column * sizeof(std::uint32_t));
  }

  static void put_word(std::byte* words, std::size_t step, std::size_t place, std::uint32_t word) {
    std::memcpy(words + (step * kStrip + place) * 4, &word, 4);
  }

  /// Inputs of a column that share a unit.
  struct Piece {
    std::size_t column, first, count;
  };

  /// One of `from` for each `inputs` of a piece.  @return what is behind a unit's
  template <class T>
  std::byte* put_all(const GroupedPanel& panel, const std::vector<T>& from, std::size_t inputs,
                     const Piece& piece, std::byte* to) const {
    const T* numbers = from.data() + (piece.column * in_ + piece.first) / inputs;
    for (std::size_t i = 0; i < piece.count / inputs; ++i)
      std::memcpy(to + (i * kStrip + piece.column % kStrip) * sizeof(T), numbers + i, sizeof(T));
    return to + panel.unit_inputs / inputs * kStrip * sizeof(T);
  }

  void put_scales(const GroupedPanel& panel, const Piece& piece, std::byte* to) const {
    to = panel.singles ? put_all(panel, singles_, grouping_.span(), piece, to)
                       : put_all(panel, scales_, grouping_.span(), piece, to);
    if (panel.floors) to = put_all(panel, floors_, grouping_.span(), piece, to);
    if (!panel.two_levels) return;
    to = put_all(panel, small_scales_, panel.group, piece, to);
    if (panel.floors) put_all(panel, small_floors_, panel.group, piece, to);
  }

  const Grouping& grouping_;
  std::size_t in_;
  std::vector<std::uint8_t> codes_;
  std::vector<std::uint16_t> scales_, floors_;
  std::vector<std::int8_t> small_scales_;
  std::vector<std::uint8_t> small_floors_;
  std::vector<float> singles_;
};

void put_tile_of_rows(const TileShape& shape, const Columns& columns, std::byte* packed) {
  constexpr int kZero = 0x80;
  const std::size_t depth = Panel::depth(shape.in), strip_bytes = (depth + sizeof(float)) * kStrip;
  for (std::size_t first = 0; first < Panel::kColumns; first += kStrip) {
    std::byte* strip = packed + first / kStrip * strip_bytes;
    std::memset(strip, kZero, depth * kStrip);
    std::memset(strip + depth * kStrip, 0, kStrip * sizeof(float));
  }
  for (std::size_t c = 0; c < shape.columns; ++c)
    columns.put_row(c, depth, packed + c / kStrip * strip_bytes);
}

void put_tile_of_floats(const TileShape& shape, const Columns& columns, std::byte* packed) {
  const std::size_t strip_bytes = Panel::e4m3_bytes(Panel::depth(shape.in));
  std::memset(packed, 0, strip_bytes * (Panel::kColumns / kStrip));
  for (std::size_t c = 0; c < shape.columns; c += kStrip)
    columns.put_floats(c, std::min(c + kStrip, shape.columns), packed + c / kStrip * strip_bytes);
}

void put_tile(const Grouping& grouping, const TileShape& shape, const Columns& columns, std::byte* packed) {
  if (grouping.codes == Grouping::Codes::e4m3) return put_tile_of_floats(shape, columns, packed);
  if (grouping.levels == Grouping::Levels::row) return put_tile_of_rows(shape, columns, packed);
  const GroupedPanel panel = grouped_panel_of(grouping);
  const std::size_t strip_bytes = (shape.in + panel.unit_inputs - 1) / panel.unit_inputs * panel.unit_bytes;
  const bool all = shape.columns == Panel::kColumns && shape.in % panel.unit_inputs == 0;
  if (!all) std::memset(packed, 0, strip_bytes * (Panel::kColumns / kStrip));
  for (std::size_t c = 0; c < shape.columns; c += kStrip)
    columns.put(panel, c, std::min(c + kStrip, shape.columns), packed + c / kStrip * strip_bytes);
}

}  // namespace

void pack_rounded(const Grouping& grouping, const float* weights, const TileShape& shape, std::byte* packed) {
  Columns columns(grouping, shape);
  std::vector<float> row;
  for (std::size_t c = 0; c < shape.columns; ++c) {
    row.assign(weights + c * shape.in, weights + (c + 1) * shape.in);
    row.resize(columns.in());
    round_to_groups(grouping, row.data(), row.size(), columns.values(c));
  }
  put_tile(grouping, shape, columns, packed);
}

const Grouping* grouping_of(const MatrixPart& part) {
  const TensorView& tensor = part.tensor;
  const Grouping* grouping = tensor.form ? tensor.form->grouping() : nullptr;
  if (grouping == nullptr || part.column_step != 1) return nullptr;
  const std::size_t span = grouping->span(), first = tensor.first + part.first;
  const bool whole = part.cols % span == 0 && part.row_step % span == 0 && first % span == 0 &&
                     first % std::max<std::size_t>(part.row_step, 1) % grouping->scaled() == 0;
  const std::size_t ordered = tensor.form->order().size();
  const bool in_order =
      ordered == 0 || (part.cols == ordered && part.row_step % ordered == 0 && first % ordered == 0);
  return whole && in_order ? grouping : nullptr;
}

void pack_groups(const MatrixPart& part, std::size_t first, std::size_t count, std::byte* packed) {
  const Grouping& grouping = *grouping_of(part);
  const TileShape shape{part.cols, count};
  Columns columns(grouping, shape);
  assert(columns.in() == part.cols);
  const StoredForm& form = *part.tensor.form;
  const std::size_t begin = part.tensor.first + part.first + first * part.row_step;
  if (part.row_step == part.cols) {
    form.read_groups(begin, count * part.cols, columns.values(0));
  } else {
    for (std::size_t c = 0; c < count; ++c)
      form.read_groups(begin + c * part.row_step, part.cols, columns.values(c));
  }
  if (!columns.finite()) {
    throw ModelError(
        fmt::format("tensor '{}' has scales that are NaN or infinite, or that float16 does not hold. Take "
                    "--precision bf16; if that is refused too, the weights are damaged: download or copy "
                    "them again",
                    part.tensor.name));
  }
  put_tile(grouping, shape, columns, packed);
}

bool has_finite_scales(const Grouping& grouping, const std::byte* tile, std::size_t in) {
  if (grouping.levels == Grouping::Levels::row) {
    const std::size_t values = Panel::depth(in) * kStrip, strip_bytes = values + kStrip * sizeof(float);
    for (std::size_t strip = 0; strip < Panel::kColumns / kStrip; ++strip) {
      if (!finite_singles(tile + strip * strip_bytes + values, kStrip)) return false;
    }
    return true;
  }
  if (grouping.codes == Grouping::Codes::e4m3) {
    constexpr std::size_t kPart = Panel::e4m3_bytes(Panel::kDepthStep);
    const std::size_t parts = Panel::depth(in) / Panel::kDepthStep * (Panel::kColumns / kStrip);
    for (std::size_t part = 1; part <= parts; ++part) {
      if (!finite_singles(tile + part * kPart - kStrip * sizeof(float), kStrip)) return false;
    }
    return true;
  }
  const GroupedPanel panel = grouped_panel_of(grouping);
  const std::size_t units = (in + panel.unit_inputs - 1) / panel.unit_inputs * (Panel::kColumns / kStrip);
  const std::size_t spans = (panel.two_levels ? 1u : 2u) * kStrip, floors = panel.floors ? spans : 0;
  for (std::size_t unit = 0; unit < units; ++unit) {
    const std::byte* at = tile + unit * panel.unit_bytes + panel.unit_code_bytes;
    const bool finite = panel.singles ? finite_singles(at, spans) && finite_halves(at + 4 * spans, floors)
                                      : finite_halves(at, spans + floors);
    if (!finite) return false;
  }
  return true;
}

}  // namespace mmbatch
