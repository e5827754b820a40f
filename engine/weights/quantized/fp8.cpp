// Weights of e4m3 with "weight_scale_inv", which is multiplied: one scale, or one for each block of the
// config's weight_block_size.

#include <fmt/format.h>

#include "engine/weights/quantized/scaled_bytes.h"

namespace mmbatch::quantized {
namespace {

struct BlockSize {
  std::size_t rows = 0, columns = 0;  // 0: one scale for all
};

BlockSize read_block_size(const Config& quantization) {
  const std::string key = "weight_block_size";
  if (!quantization.has(key)) return {};
  const std::vector<std::int64_t> sizes = quantization.integers(key);
  if (sizes.size() != 2 || sizes[0] < 1 || sizes[1] < 1 || sizes[0] > 1 << 24 || sizes[1] > 1 << 24)
    quantization.fail(key, "must be [rows, columns], both above 0");
  return {static_cast<std::size_t>(sizes[0]), static_cast<std::size_t>(sizes[1])};
}

void present(const std::string& module, const BlockSize& block, StoredParts& parts) {
  const std::string weight = module + ".weight", scales = weight + "_scale_inv";
  const RawTensor* stored = parts.other(weight);
  if (stored == nullptr || stored->type != "F8_E4M3" || stored->shape.size() != 2 || stored->bytes == 0)
    fail(weight, "must be F8_E4M3 of shape [out, in] beside its weight_scale_inv");
  ScaledBytes form{.name = "FP8", .weight = *stored};
  const TensorView& scale_view = parts.tensor(scales);
  const std::size_t out = stored->shape[0], in = stored->shape[1];
  form.bytes = stored->bytes + scale_view.bytes();
  if (scale_view.elements() == 1) {
    form.scales = to_floats(scale_view);
    set_blocks(form, scales, scale_view.shape);
  } else {
    if (block.rows == 0) fail(scales, "has many scales, but the config names no weight_block_size");
    form.block_rows = block.rows;
    form.block_columns = block.columns;
    form.scales =
        parts.floats(scales, {(out + block.rows - 1) / block.rows, (in + block.columns - 1) / block.columns});
  }
  parts.others.erase(weight);
  parts.replace(weight, {out, in}, scaled_bytes_form(std::move(form)),
                {scales, module + ".activation_scale"});
}

}  // namespace

void present_fp8(const Config& quantization, StoredParts& parts) {
  const std::string format = quantization.text("fmt", "e4m3");
  if (format != "e4m3")
    quantization.fail("fmt", fmt::format("'{}' is not supported; supported is e4m3", format.substr(0, 80)));
  const BlockSize block = read_block_size(quantization);
  std::vector<std::string> modules;
  for (const auto& [name, tensor] : parts.tensors) {
    const std::string ending = ".weight_scale_inv";
    if (name.size() > ending.size() && name.compare(name.size() - ending.size(), ending.size(), ending) == 0)
      modules.push_back(name.substr(0, name.size() - ending.size()));
  }
  for (const std::string& module : modules) present(module, block, parts);
}

}  // namespace mmbatch::quantized
