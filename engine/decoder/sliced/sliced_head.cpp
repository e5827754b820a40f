#include "engine/decoder/sliced/sliced_head.h"

#include <algorithm>
#include <vector>

#include "engine/kernels/rows.h"

namespace mmbatch {
namespace {

/// Tokens of a slice: whole tiles of every kernel.
std::size_t slice_width(std::size_t vocab, std::size_t slices) {
  constexpr std::size_t kTile = 64;
  const std::size_t each = (vocab + slices - 1) / slices;
  return (each + kTile - 1) / kTile * kTile;
}

}  // namespace

SlicedHead::SlicedHead(const Weights& weights, const TensorView& weight, std::span<const float> bias)
    : slices_(weights.slices), vocab_(weight.rows()) {
  const std::size_t each = slice_width(vocab_, slices_->count());
  width_ = each * slices_->here();
  std::vector<std::shared_ptr<const PackedTensor>> parts;
  for (std::size_t i = slices_->first(); i < slices_->first() + slices_->here(); ++i) {
    const std::size_t begin = std::min(vocab_, i * each), end = std::min(vocab_, begin + each);
    if (begin < end) parts.push_back(weights.pack(weight.row_range(begin, end - begin)));
  }
  if (parts.empty()) return;
  const std::size_t first = slices_->first() * each, count = std::min(vocab_ - first, width_);
  const std::span<const float> own = bias.empty() ? bias : bias.subspan(first, count);
  rows_ = Linear(PackedMatrix(std::move(parts)), std::vector<float>(own.begin(), own.end()));
}

Matrix<float> SlicedHead::forward(MatrixView<const float> x) const {
  Matrix<float> own(x.rows, width_);
  if (rows_.out() > 0 && x.rows > 0) rows_.forward(x, own.view().col_range(0, rows_.out()));
  const Communicator& processes = slices_->processes();
  const bool leads = processes.rank() == 0;
  Matrix<float> all(leads ? processes.size() : 0, x.rows * width_);
  if (x.rows > 0) slices_->gather(own.view(), all.data());
  Matrix<float> logits(leads ? x.rows : 0, vocab_);
  parallel_rows(logits.rows(), [&](std::size_t r) {
    for (std::size_t p = 0; p * width_ < vocab_; ++p) {
      const std::size_t count = std::min(width_, vocab_ - p * width_);
      std::copy_n(all.row(p) + r * width_, count, logits.row(r) + p * width_);
    }
  });
  return logits;
}

}  // namespace mmbatch
