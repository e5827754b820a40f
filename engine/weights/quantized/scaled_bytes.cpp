#include "engine/weights/quantized/scaled_bytes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/weights/files/stored_place.h"
#include "engine/weights/groups/e4m3.h"
#include "engine/weights/quantized/rows_form.h"
#include "engine/weights/quantized/whole_groups.h"

namespace mmbatch::quantized {
namespace {

using ByteValues = std::array<float, 256>;

ByteValues values_of(const std::string& type) {
  ByteValues values;
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = type == "I8" ? static_cast<float>(static_cast<std::int8_t>(i))
                             : e4m3_to_float(static_cast<std::uint8_t>(i));
  }
  return values;
}

class ScaledBytesForm final : public RowsForm, public StoredPlace {
 public:
  explicit ScaledBytesForm(ScaledBytes weight)
      : RowsForm(weight.name, weight.weight.shape[1], weight.bytes),
        weight_(std::move(weight)),
        values_(values_of(weight_.weight.type)),
        grouping_(find_grouping_of(weight_)) {}

  const Grouping* grouping() const override { return grouping_; }
  const std::byte* place() const override { return weight_.weight.data; }

  void read_groups(std::size_t begin, std::size_t count, const GroupedValues& out) const override {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(weight_.weight.data);
    const std::size_t blocks = (columns() + weight_.block_columns - 1) / weight_.block_columns;
    constexpr int kMiddle = 128;  // an integer without a sign is so much more
    const bool is_integer = grouping_->codes == Grouping::Codes::integers;
    for (std::size_t i = 0; i < count; ++i) {
      out.codes[i] = bytes[begin + i] ^ (is_integer ? kMiddle : 0);
      if (i % grouping_->span() != 0) continue;
      const std::size_t row = (begin + i) / columns(), column = (begin + i) % columns();
      const std::size_t block = row / weight_.block_rows * blocks + column / weight_.block_columns;
      const int zero = weight_.zeros.empty() || !is_integer ? 0 : weight_.zeros[block];
      put_group(*grouping_, weight_.scales[block], kMiddle + zero, out.behind(*grouping_, i));
    }
  }

 protected:
  void read_part(const Part& part, float* out) const override {
    const std::size_t blocks = (columns() + weight_.block_columns - 1) / weight_.block_columns;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(weight_.weight.data);
    for (std::size_t r = part.row; r < part.row + part.rows; ++r) {
      const std::size_t first = r / weight_.block_rows * blocks;
      for (std::size_t i = part.column; i < part.column + part.columns; ++i) {
        const std::size_t block = first + i / weight_.block_columns;
        float value = values_[bytes[r * columns() + i]];
        if (!weight_.zeros.empty()) value -= static_cast<float>(weight_.zeros[block]);
        *out++ = weight_.scales[block] * value;
      }
    }
  }

 private:
  /// Where no scale ends within what shares one there.
  static const Grouping* find_grouping_of(const ScaledBytes& weight) {
    const std::size_t in = weight.weight.shape[1];
    const Grouping& floats = *find_grouping("e4m3");
    const bool one_scale = weight.block_columns >= in;
    if (in % 32 != 0) return nullptr;
    if (weight.weight.type == "F8_E4M3")
      return one_scale || weight.block_columns % floats.scaled() == 0 ? &floats : nullptr;
    if (!one_scale && weight.block_columns % 32 != 0) return nullptr;
    if (weight.rounds_tokens && weight.zeros.empty() && weight.block_columns == in)
      return find_grouping("q8_row");
    const bool halves = std::all_of(weight.scales.begin(), weight.scales.end(), is_half);
    return &quantized::grouping_of({8, halves, weight.zeros.empty()});
  }

  ScaledBytes weight_;
  ByteValues values_;
  const Grouping* grouping_;
};

}  // namespace

std::shared_ptr<const StoredForm> scaled_bytes_form(ScaledBytes weight) {
  return std::make_shared<ScaledBytesForm>(std::move(weight));
}

void set_blocks(ScaledBytes& form, const std::string& scales, const std::vector<std::size_t>& shape) {
  const std::size_t out = form.weight.shape[0], in = form.weight.shape[1];
  if (form.scales.size() == 1) {
    form.block_rows = out;
    form.block_columns = in;
    return;
  }
  if (shape.size() != 2 || shape[0] != out || shape[1] == 0 || in % shape[1] != 0)
    fail(scales, fmt::format("shape {} fits no weight of [{}, {}]", shape_text(shape), out, in));
  form.block_columns = in / shape[1];
}

}  // namespace mmbatch::quantized
