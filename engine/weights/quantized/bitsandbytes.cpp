// Four bits of bitsandbytes (QLoRA, arXiv 2305.14314): codes in the row-major order of the whole matrix, the
// first in a byte's upper half; blocks of the flat matrix with one largest value each, which may be quantized
// again.

#include <fmt/format.h>

#include <array>

#include "engine/weights/files/stored_place.h"
#include "engine/weights/quantized/stored_parts.h"

namespace mmbatch::quantized {
namespace {

class FourBitForm final : public StoredForm, public StoredPlace {
 public:
  FourBitForm(const RawTensor& codes, std::vector<float> values, std::vector<float> largest,
              std::size_t block)
      : codes_(codes), values_(std::move(values)), largest_(std::move(largest)), block_(block) {}

  std::string_view name() const override { return "bitsandbytes 4 bit"; }
  std::size_t bytes() const override { return codes_.bytes + largest_.size() * sizeof(float); }
  const std::byte* place() const override { return codes_.data; }

  void read(std::size_t begin, std::size_t count, float* out) const override {
    const auto* codes = reinterpret_cast<const std::uint8_t*>(codes_.data);
    for (std::size_t at = begin; at < begin + count; ++at) {
      const unsigned code = at % 2 == 0 ? codes[at / 2] >> 4 : codes[at / 2] & 15;
      *out++ = values_[code] * largest_[at / block_];
    }
  }

 private:
  RawTensor codes_;
  std::vector<float> values_, largest_;
  std::size_t block_;
};

std::size_t size_of(const Config& state, const std::string& key) {
  if (!state.has(key)) state.fail(key, "is missing: the number of values that have a scale in common");
  return static_cast<std::size_t>(state.integer(key, 0, {1, 1 << 24}));
}

/// The largest value of every block: as stored, or quantized to eight bits in blocks of their own.
std::vector<float> read_largest(const std::string& weight, const Config& state, std::size_t blocks,
                                const StoredParts& parts) {
  const std::string name = weight + ".absmax";
  const RawTensor* nested = parts.other(name);
  if (nested == nullptr) return parts.floats(name, {blocks});
  parts.other(name, "U8", {blocks});
  const std::size_t block = size_of(state, "nested_blocksize");
  const std::vector<float> values = parts.floats(weight + ".nested_quant_map", {256});
  const std::vector<float> largest = parts.floats(weight + ".nested_absmax", {(blocks + block - 1) / block});
  const auto offset = static_cast<float>(state.number("nested_offset", 0.0));
  std::vector<float> out(blocks);
  for (std::size_t b = 0; b < blocks; ++b) {
    const auto code = static_cast<std::uint8_t>(nested->data[b]);
    out[b] = values[code] * largest[b / block] + offset;
  }
  return out;
}

void present(const std::string& weight, const std::string& state_name, StoredParts& parts) {
  const RawTensor& stored = *parts.other(state_name);
  if (stored.type != "U8" || stored.bytes == 0) fail(state_name, "must be U8: a JSON text");
  const Config state = Config::parse({reinterpret_cast<const char*>(stored.data), stored.bytes}, state_name);
  if (!state.is_object()) fail(state_name, "must be a JSON object");
  const std::vector<std::int64_t> sizes = state.integers("shape");
  if (sizes.size() != 2 || sizes[0] < 1 || sizes[1] < 1 || sizes[0] > 1 << 24 || sizes[1] > 1 << 24)
    state.fail("shape", "must be [out, in]");
  const std::vector<std::size_t> shape = {static_cast<std::size_t>(sizes[0]),
                                          static_cast<std::size_t>(sizes[1])};
  const std::size_t elements = shape[0] * shape[1], block = size_of(state, "blocksize");
  const RawTensor codes = parts.other(weight, "U8", {(elements + 1) / 2, 1});
  std::vector<float> values = parts.floats(weight + ".quant_map", {16});
  std::vector<float> largest = read_largest(weight, state, (elements + block - 1) / block, parts);
  auto form = std::make_shared<FourBitForm>(codes, std::move(values), std::move(largest), block);
  parts.replace(weight, shape, std::move(form),
                {weight, state_name, weight + ".quant_map", weight + ".absmax", weight + ".nested_absmax",
                 weight + ".nested_quant_map"});
}

}  // namespace

void present_bitsandbytes(const Config& quantization, StoredParts& parts) {
  if (quantization.flag("load_in_8bit", false))
    quantization.fail("load_in_8bit", "eight bits of bitsandbytes are not supported; four bits are");
  for (const char* type : {"nf4", "fp4"}) {
    const std::string ending = fmt::format(".quant_state.bitsandbytes__{}", type);
    for (const std::string& weight : parts.modules(ending)) present(weight, weight + ending, parts);
  }
}

}  // namespace mmbatch::quantized
