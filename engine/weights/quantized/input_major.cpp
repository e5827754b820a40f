#include "engine/weights/quantized/input_major.h"

#include <algorithm>

#include "engine/weights/files/stored_place.h"
#include "engine/weights/quantized/whole_groups.h"

namespace mmbatch::quantized {
namespace {

class InputMajorForm final : public RowsForm, public StoredPlace {
 public:
  explicit InputMajorForm(InputMajor weight)
      : RowsForm(weight.name, weight.in, weight.bytes), weight_(std::move(weight)) {
    auto order = order_of_groups(weight_.group_of, weight_.groups);
    if (!order) return;
    order_ = std::move(*order);
    grouping_ = &quantized::grouping_of({weight_.bits, are_halves(weight_.scales), all_middle()});
  }

  const Grouping* grouping() const override { return grouping_; }
  const std::byte* place() const override { return place_of(weight_.scales); }
  std::span<const std::uint32_t> order() const override { return order_; }

  void read_groups(std::size_t begin, std::size_t count, const GroupedValues& out) const override {
    for (std::size_t done = 0; done < count;) {
      const std::size_t column = (begin + done) % weight_.in;
      Part part{(begin + done) / weight_.in, 1, column, std::min(weight_.in - column, count - done)};
      if (column == 0 && count - done >= weight_.in) part.rows = (count - done) / weight_.in;
      read_groups(part, out.behind(*grouping_, done));
      done += part.rows * part.columns;
    }
  }

 protected:
  void read_part(const Part& part, float* out) const override {
    const std::size_t count = part.rows;
    std::vector<float> scales(weight_.groups * count);
    std::vector<std::uint32_t> zeros(weight_.groups * count), codes(count);
    for (std::size_t g = 0; g < weight_.groups; ++g) {
      copy_as_float(weight_.scales, g * weight_.out + part.row, count, &scales[g * count]);
      weight_.zeros(g, part.row, count, &zeros[g * count]);
    }
    for (std::size_t i = 0; i < part.columns; ++i) {
      weight_.codes(part.column + i, part.row, count, codes.data());
      const std::size_t group = weight_.group_of[part.column + i] * count;
      for (std::size_t o = 0; o < count; ++o) {
        const int q = static_cast<int>(codes[o]) - static_cast<int>(zeros[group + o]);
        out[o * part.columns + i] = scales[group + o] * static_cast<float>(q);
      }
    }
  }

 private:
  void read_groups(const Part& part, const GroupedValues& out) const {
    std::vector<std::uint32_t> numbers(part.rows);
    for (std::size_t i = 0; i < part.columns; ++i) {
      weight_.codes(input_at(part.column + i), part.row, part.rows, numbers.data());
      for (std::size_t o = 0; o < part.rows; ++o)
        out.codes[o * part.columns + i] = static_cast<std::uint8_t>(numbers[o]);
    }
    std::vector<float> scales(part.rows);
    const std::size_t spans = part.columns / 32;
    for (std::size_t span = 0; span < spans; ++span) {
      const std::size_t group = weight_.group_of[input_at(part.column + 32 * span)];
      copy_as_float(weight_.scales, group * weight_.out + part.row, part.rows, scales.data());
      weight_.zeros(group, part.row, part.rows, numbers.data());
      for (std::size_t o = 0; o < part.rows; ++o)
        put_group(*grouping_, scales[o], static_cast<int>(numbers[o]),
                  out.behind(*grouping_, o * part.columns + 32 * span));
    }
  }

  std::size_t input_at(std::size_t place) const { return order_.empty() ? place : order_[place]; }

  /// Whether all zeros are half the range of codes.
  bool all_middle() const {
    std::vector<std::uint32_t> zeros(weight_.out);
    for (std::size_t g = 0; g < weight_.groups; ++g) {
      weight_.zeros(g, 0, weight_.out, zeros.data());
      if (std::any_of(zeros.begin(), zeros.end(),
                      [&](auto zero) { return zero != 1u << (weight_.bits - 1); }))
        return false;
    }
    return true;
  }

  InputMajor weight_;
  const Grouping* grouping_ = nullptr;
  std::vector<std::uint32_t> order_;
};

}  // namespace

std::shared_ptr<const StoredForm> input_major_form(InputMajor weight) {
  return std::make_shared<InputMajorForm>(std::move(weight));
}

}  // namespace mmbatch::quantized
