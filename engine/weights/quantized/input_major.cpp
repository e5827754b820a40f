#include "engine/weights/quantized/input_major.h"

#include <algorithm>

#include "engine/weights/groups/half.h"
#include "engine/weights/quantized/four_bits.h"

namespace mmbatch::quantized {
namespace {

class InputMajorForm final : public RowsForm {
 public:
  explicit InputMajorForm(InputMajor weight)
      : RowsForm(weight.name, weight.in, weight.bytes), weight_(std::move(weight)) {
    if (weight_.bits == 4 && groups_are_whole(weight_.group_of, weight_.groups) && are_halves(weight_.scales))
      grouping_ = four_bits_with_zeros();
  }

  const Grouping* grouping() const override { return grouping_; }

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
      weight_.codes(part.column + i, part.row, part.rows, numbers.data());
      for (std::size_t o = 0; o < part.rows; ++o)
        out.codes[o * part.columns + i] = static_cast<std::uint8_t>(numbers[o]);
    }
    std::vector<float> scales(part.rows);
    const std::size_t spans = part.columns / 32;
    for (std::size_t span = 0; span < spans; ++span) {
      const std::size_t group = weight_.group_of[part.column + 32 * span];
      copy_as_float(weight_.scales, group * weight_.out + part.row, part.rows, scales.data());
      weight_.zeros(group, part.row, part.rows, numbers.data());
      for (std::size_t o = 0; o < part.rows; ++o) {
        out.scales[o * spans + span] = to_half(scales[o]);
        out.floors[o * spans + span] = to_half(static_cast<float>(numbers[o]));
      }
    }
  }

  InputMajor weight_;
  const Grouping* grouping_ = nullptr;
};

}  // namespace

std::shared_ptr<const StoredForm> input_major_form(InputMajor weight) {
  return std::make_shared<InputMajorForm>(std::move(weight));
}

}  // namespace mmbatch::quantized
