#include "engine/weights/adapters/low_rank.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <memory>

namespace mmbatch {
namespace {

class Adapted final : public StoredForm {
 public:
  Adapted(TensorView weight, LowRank change)
      : weight_(std::move(weight)), change_(std::move(change)), name_(stored_type(weight_)) {}

  std::string_view name() const override { return name_; }
  std::size_t bytes() const override { return weight_.bytes(); }

  void read(std::size_t begin, std::size_t count, float* out) const override {
    const std::size_t cols = weight_.cols();
    std::vector<float> sums(cols), whole;
    for (const std::size_t end = begin + count; begin < end;) {
      const std::size_t row = begin / cols, column = begin % cols;
      const std::size_t length = std::min(cols - column, end - begin);
      if (change_.magnitude.empty()) {
        read_row(row, {column, length}, sums, out);
      } else {  // its length is that of the whole row
        whole.resize(cols);
        read_row(row, {0, cols}, sums, whole.data());
        stretch(row, whole);
        std::copy_n(whole.data() + column, length, out);
      }
      begin += length;
      out += length;
    }
  }

 private:
  struct Columns {
    std::size_t begin, count;
  };

  void read_row(std::size_t row, Columns columns, std::vector<float>& sums, float* out) const {
    const std::size_t cols = weight_.cols();
    copy_as_float(weight_, row * cols + columns.begin, columns.count, out);
    std::fill_n(sums.begin(), columns.count, 0.0f);
    for (std::size_t k = 0; k < change_.rank; ++k) {
      const float factor = change_.b[row * change_.rank + k];
      const float* a = change_.a.data() + k * cols + columns.begin;
      for (std::size_t c = 0; c < columns.count; ++c) sums[c] += factor * a[c];
    }
    for (std::size_t c = 0; c < columns.count; ++c) out[c] += change_.scale * sums[c];
  }

  void stretch(std::size_t row, std::vector<float>& values) const {
    double squares = 0;
    for (const float value : values) squares += static_cast<double>(value) * value;
    const auto factor = static_cast<float>(change_.magnitude[row] / std::sqrt(squares));
    for (float& value : values) value *= factor;
  }

  TensorView weight_;
  LowRank change_;
  std::string name_;
};

}  // namespace

TensorView adapted(const TensorView& weight, LowRank change) {
  assert(change.a.size() == change.rank * weight.cols() && change.b.size() == change.rank * weight.rows());
  assert(change.magnitude.empty() || change.magnitude.size() == weight.rows());
  TensorView view{weight.name, DType::f32, weight.shape};
  view.form = std::make_shared<const Adapted>(weight, std::move(change));
  return view;
}

}  // namespace mmbatch
