#include "engine/weights/quantized/input_major.h"

namespace mmbatch::quantized {
namespace {

class InputMajorForm final : public RowsForm {
 public:
  explicit InputMajorForm(InputMajor weight)
      : RowsForm(weight.name, weight.in, weight.bytes), weight_(std::move(weight)) {}

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
  InputMajor weight_;
};

}  // namespace

std::shared_ptr<const StoredForm> input_major_form(InputMajor weight) {
  return std::make_shared<InputMajorForm>(std::move(weight));
}

}  // namespace mmbatch::quantized
