// MXFP4 of stacked experts: X_blocks U8 [experts, out, in / 32, 16] and X_scales U8 [experts, out, in / 32].
// Byte k of a block holds elements 2k, in its lower half, and 2k + 1; a scale is a power of two.

#include <cmath>

#include "engine/weights/files/stored_place.h"
#include "engine/weights/groups/mxfp4.h"
#include "engine/weights/quantized/stored_parts.h"

namespace mmbatch::quantized {
namespace {

constexpr std::size_t kElements = 32, kBytes = 16;
constexpr float kE2m1[16] = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                             -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

class Mxfp4Form final : public StoredForm, public StoredPlace {
 public:
  Mxfp4Form(const RawTensor& blocks, const RawTensor& scales) : blocks_(blocks), scales_(scales) {}

  std::string_view name() const override { return "MXFP4"; }
  std::size_t bytes() const override { return blocks_.bytes + scales_.bytes; }
  const std::byte* place() const override { return blocks_.data; }

  void read(std::size_t begin, std::size_t count, float* out) const override {
    const auto* codes = reinterpret_cast<const std::uint8_t*>(blocks_.data);
    const auto* exponents = reinterpret_cast<const std::uint8_t*>(scales_.data);
    for (std::size_t at = begin; at < begin + count;) {
      const std::size_t block = at / kElements, end = std::min(begin + count, (block + 1) * kElements);
      const float scale = std::ldexp(1.0f, exponents[block] - 127);
      for (; at < end; ++at) *out++ = kE2m1[codes[at / 2] >> 4 * (at % 2) & 15] * scale;
    }
  }

  const Grouping* grouping() const override { return find_grouping("mxfp4"); }

  void read_groups(std::size_t begin, std::size_t count, const GroupedValues& out) const override {
    const auto* codes = reinterpret_cast<const std::uint8_t*>(blocks_.data) + begin / 2;
    const auto* exponents = reinterpret_cast<const std::uint8_t*>(scales_.data) + begin / kElements;
    for (std::size_t i = 0; i < count; ++i) out.codes[i] = codes[i / 2] >> 4 * (i % 2) & 15;
    for (std::size_t i = 0; i < count / kElements; ++i)
      out.scales[i] = mxfp4_scale(exponents[i], out.codes + i * kElements);
  }

 private:
  RawTensor blocks_, scales_;
};

}  // namespace

void present_mxfp4(const Config&, StoredParts& parts) {
  for (const std::string& name : parts.modules("_blocks")) {
    const std::string blocks = name + "_blocks", scales = name + "_scales";
    const RawTensor& stored = *parts.other(blocks);
    std::vector<std::size_t> shape = stored.shape;
    if (stored.type != "U8" || shape.size() < 3 || shape.back() != kBytes || stored.bytes == 0)
      fail(blocks, "must be U8 of shape [experts, out, in / 32, 16]");
    shape.pop_back();
    const RawTensor& exponents = parts.other(scales, "U8", shape);
    auto form = std::make_shared<Mxfp4Form>(stored, exponents);
    shape.back() *= kElements;
    parts.replace(name, shape, std::move(form), {blocks, scales});
  }
}

}  // namespace mmbatch::quantized
