#include "tests/checkers/parity_ragged.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/checkers/parity_compare.h"

namespace mmbatch::parity {
namespace {

constexpr std::size_t kChannels = 3;

std::size_t side_of(const Patches& patches) {
  return static_cast<std::size_t>(
      std::lround(std::sqrt(static_cast<double>(patches.values.cols() / kChannels))));
}

}  // namespace

Matrix<float> stacked_pixels(std::span<const Patches* const> images) {
  std::size_t width = 0, height = 0;
  for (const Patches* image : images) {
    width = std::max(width, image->grid.columns * side_of(*image));
    height = std::max(height, image->grid.rows * side_of(*image));
  }
  auto all = Matrix<float>::zeros(kChannels * images.size(), height * width);
  for (std::size_t i = 0; i < images.size(); ++i) {
    const Patches& image = *images[i];
    const std::size_t side = side_of(image);
    for (std::size_t p = 0; p < image.grid.count(); ++p) {
      const float* from = image.values.row(p);
      const std::size_t top = p / image.grid.columns * side, left = p % image.grid.columns * side;
      for (std::size_t line = 0; line < kChannels * side; ++line, from += side)
        std::copy_n(from, side, all.row(kChannels * i + line / side) + (top + line % side) * width + left);
    }
  }
  return all;
}

void check_features(const Subject& subject, const std::string& name, MatrixView<const float> found,
                    std::span<const std::size_t> rows, Report& report) {
  const TensorView* tensor = subject.reference.tensor(name);
  const std::size_t all = std::accumulate(rows.begin(), rows.end(), rows.size());
  if (tensor == nullptr || found.rows == all || tensor->elements() != all * found.cols)
    return check_tensor(subject, name, found, 0, report);
  const std::vector<float> stored = to_floats(*tensor);
  std::vector<float> expected;
  std::size_t first = 0;
  for (const std::size_t count : rows) {
    const auto begin = stored.begin() + static_cast<std::ptrdiff_t>((first + 1) * found.cols);
    expected.insert(expected.end(), begin, begin + static_cast<std::ptrdiff_t>(count * found.cols));
    first += 1 + count;
  }
  report.numbers("vision_features", name, {largest_error(found, expected), feature_tolerance(expected)});
}

}  // namespace mmbatch::parity
