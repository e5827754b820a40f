#include "vision/preprocess/resize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/matrix.h"
#include "engine/base/threads.h"
#include "vision/preprocess/resize_filter.h"
#include "vision/preprocess/resize_kernel.h"

namespace mmbatch {
namespace {

/// Output rows per tile: more share the source rows that neighbours need too, fewer spread over more threads.
constexpr int kTileRows = 64;

/// Fills the rows [first_row, first_row + rows) of `out`. Streams over the source rows that they need, each
/// filtered horizontally once and added to the output rows in reach: memory follows the output's width only.
class ResizeTile {
 public:
  ResizeTile(const Image& source, const HorizontalFilter& horizontal, const ResizeFilter& vertical)
      : source_(source), horizontal_(horizontal), vertical_(vertical) {}

  void run(int first_row, int rows, Image& out) {
    const std::size_t columns = out.row_bytes();
    const int last_row = first_row + rows - 1;
    Matrix<std::int32_t> scratch(ResizeKernel::kRows, horizontal_scratch(horizontal_.columns));
    Matrix<std::uint8_t> filtered(ResizeKernel::kRows, columns);
    sums_ = Matrix<std::int32_t>::zeros(static_cast<std::size_t>(rows), columns);
    open_ = first_row;
    const int source_end = end_of(last_row);
    for (int y = taps(first_row).begin; y < source_end;) {
      const int count = std::min(source_end - y, static_cast<int>(ResizeKernel::kRows));
      kernel_.horizontal(source_, y, horizontal_, scratch.data(),
                         filtered.view().row_range(0, static_cast<std::size_t>(count)));
      for (int i = 0; i < count; ++i, ++y) {
        add_row(filtered.row(static_cast<std::size_t>(i)), y, {first_row, last_row});
        for (; open_ <= last_row && end_of(open_) == y + 1; ++open_) {
          kernel_.finish(sums_.row(static_cast<std::size_t>(open_ - first_row)), columns, out.row(open_));
        }
      }
    }
  }

 private:
  struct RowRange {
    int first;
    int last;
  };

  const ResizeFilter::Taps& taps(int row) const { return vertical_.outputs[static_cast<std::size_t>(row)]; }
  int end_of(int row) const { return taps(row).begin + taps(row).count; }

  /// Adds the filtered source row `y` to the output rows that it reaches, all of them unfinished.
  void add_row(const std::uint8_t* row, int y, RowRange range) {
    for (int out = open_; out <= range.last && taps(out).begin <= y; ++out) {
      const std::int32_t weight =
          vertical_.weights[taps(out).weights + static_cast<std::size_t>(y - taps(out).begin)];
      kernel_.accumulate(row, weight, sums_.cols(), sums_.row(static_cast<std::size_t>(out - range.first)));
    }
  }

  const Image& source_;
  const HorizontalFilter& horizontal_;
  const ResizeFilter& vertical_;
  const ResizeKernel& kernel_ = resize_kernel();
  Matrix<std::int32_t> sums_;  // [tile's rows, output columns · 3]
  int open_ = 0;               // first output row that is not finished
};

void check_size(const Image& source, ResizedSize size) {
  if (std::max(size.width, size.height) <= kMaxResizedSide) return;
  throw ItemError(ErrorCode::image_too_large,
                  fmt::format("the image of {} x {} pixels would have to be resized to {} x {}; at most {} a "
                              "side are allowed",
                              source.width, source.height, size.width, size.height, kMaxResizedSide));
}

/// Pillow 13's rule, found by comparing both orders with what it makes of thousands of sizes.
bool vertical_first(const Image& source, ResizedSize size, Resampling resampling) {
  if (resampling.backend != ResizeBackend::pillow_13 || resampling.filter == Resample::nearest) return false;
  const std::int64_t rows = source.height - size.height, columns = source.width - size.width;
  return rows > 0 && columns != 0 && rows > 2 * columns;
}

Image resize_nearest(const Image& source, const ResizeAxis& across, const ResizeAxis& down) {
  const std::vector<int> columns = nearest_samples(across);
  const std::vector<int> rows = nearest_samples(down);
  Image out(across.count, down.count);
  for (int y = 0; y < out.height; ++y) {
    const std::uint8_t* from = source.row(rows[static_cast<std::size_t>(y)]);
    std::uint8_t* to = out.row(y);
    for (const int x : columns) {
      std::memcpy(to, from + 3 * x, 3);
      to += 3;
    }
  }
  return out;
}

}  // namespace

std::optional<Resample> resample_from(std::int64_t code) {
  if (code < 0 || code > 5) return std::nullopt;
  return static_cast<Resample>(code);
}

Image resize(const Image& source, ResizedSize size, Resampling resampling) {
  check_size(source, size);
  if (size.width == source.width && size.height == source.height) return source;
  const ResizeWindow whole{0, 0, static_cast<int>(size.width), static_cast<int>(size.height)};
  return resize_window(source, size, whole, resampling);
}

Image resize_window(const Image& source, ResizedSize size, ResizeWindow window, Resampling resampling) {
  check_size(source, size);
  const Resample resample = resampling.filter;
  if (vertical_first(source, size, resampling)) {
    const ResizeWindow rows{0, window.top, source.width, window.height};
    const Image lower =
        resize_window(source, {source.width, size.height}, rows, {resample, ResizeBackend::pillow_12});
    return resize_window(lower, {size.width, window.height}, {window.left, 0, window.width, window.height},
                         {resample, ResizeBackend::pillow_12});
  }
  const ResizeAxis across{source.width, size.width, window.left, window.width};
  const ResizeAxis down{source.height, size.height, window.top, window.height};
  if (resample == Resample::nearest) return resize_nearest(source, across, down);

  const HorizontalFilter horizontal(make_resize_filter(across, resampling));
  const ResizeFilter vertical = make_resize_filter(down, resampling);
  Image out(window.width, window.height);
  const int tiles = (out.height + kTileRows - 1) / kTileRows;
  parallel_tiles(static_cast<std::size_t>(tiles), [&](std::size_t tile) {
    const int first = static_cast<int>(tile) * kTileRows;
    ResizeTile(source, horizontal, vertical).run(first, std::min(kTileRows, out.height - first), out);
  });
  return out;
}

}  // namespace mmbatch
