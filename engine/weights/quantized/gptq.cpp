// GPTQ (arXiv 2210.17323) as AutoGPTQ and GPTQModel store it: qweight I32 [in · bits / 32, out] packed along
// the inputs, qzeros I32 [groups, out · bits / 32] packed along the outputs, scales [groups, out], g_idx I32
// [in].

#include <fmt/format.h>

#include <algorithm>

#include "engine/weights/quantized/input_major.h"
#include "engine/weights/quantized/packed_words.h"
#include "engine/weights/quantized/stored_parts.h"

namespace mmbatch::quantized {
namespace {

struct Settings {
  std::size_t bits = 4;
  std::int64_t group_size = -1;
  std::uint32_t added_to_zeros = 1;  // 0 in gptq_v2
};

void check_bits(const std::string& module, std::size_t bits) {
  if (bits == 2 || bits == 4 || bits == 8) return;
  fail(module + ".qweight",
       fmt::format("{} bits a weight are not supported; supported are 2, 4 and 8", bits));
}

/// The group of every input: g_idx says it, whatever the order that the weights were quantized in.
std::vector<std::uint32_t> read_groups(const std::string& name, const RawTensor& stored, std::size_t groups) {
  std::vector<std::uint32_t> group_of(stored.shape[0]);
  std::memcpy(group_of.data(), stored.data, stored.bytes);
  const std::uint32_t most = *std::max_element(group_of.begin(), group_of.end());
  if (most >= groups) fail(name, fmt::format("group {} of {}", static_cast<std::int32_t>(most), groups));
  return group_of;
}

/// Some writers put a bias of zeros beside every quantized weight.
void drop_zero_bias(const std::string& name, StoredParts& parts) {
  const auto found = parts.tensors.find(name);
  if (found == parts.tensors.end()) return;
  const std::vector<float> bias = to_floats(found->second);
  if (std::all_of(bias.begin(), bias.end(), [](float value) { return value == 0.0f; }))
    parts.tensors.erase(found);
}

void present(const std::string& module, const Settings& settings, StoredParts& parts) {
  const std::string weights = module + ".qweight", zeros = module + ".qzeros", scales = module + ".scales",
                    index = module + ".g_idx";
  const RawTensor& packed = *parts.other(weights);
  if (packed.type != "I32" || packed.shape.size() != 2 || packed.bytes == 0)
    fail(weights, "must be I32 of shape [in · bits / 32, out]");
  const TensorView scale_view = parts.tensor(scales);
  if (scale_view.shape.size() != 2 || scale_view.elements() == 0)
    fail(scales, "must be of shape [groups, out]");
  const RawTensor* order = parts.other(index);
  // "dynamic" gives single modules other bits: the shapes tell.
  std::size_t bits = settings.bits, in = 0;
  if (order != nullptr) {
    if (order->type != "I32" || order->shape.size() != 1 || order->bytes == 0)
      fail(index, "must be I32 of shape [in]");
    in = order->shape[0];
    bits = packed.shape[0] * 32 / in;
  }
  check_bits(module, bits);
  const std::size_t per_word = 32 / bits, out = packed.shape[1], groups = scale_view.shape[0];
  if (order == nullptr) in = packed.shape[0] * per_word;
  if (in % per_word != 0 || in / per_word != packed.shape[0] || out % per_word != 0)
    fail(weights,
         fmt::format("shape {} does not hold {} inputs of {} bits", shape_text(packed.shape), in, bits));
  InputMajor form{.name = fmt::format("GPTQ {} bit", bits), .in = in, .out = out, .groups = groups};
  form.bits = static_cast<unsigned>(bits);
  form.scales = parts.tensor(scales, {groups, out});
  if (order != nullptr) form.group_of = read_groups(index, *order, groups);
  const bool all_first =
      std::all_of(form.group_of.begin(), form.group_of.end(), [](auto g) { return g == 0; });
  if (form.group_of.empty() || (all_first && groups > 1)) {
    const std::size_t size = settings.group_size < 0 ? in : static_cast<std::size_t>(settings.group_size);
    if ((in + size - 1) / size != groups)
      fail(scales,
           fmt::format("{} groups; {} inputs are {} groups of {}", groups, in, (in + size - 1) / size, size));
    form.group_of.clear();
    for (std::size_t i = 0; i < in; ++i) form.group_of.push_back(static_cast<std::uint32_t>(i / size));
  }
  const RawTensor& packed_zeros = parts.other(zeros, "I32", {groups, out / per_word});
  form.bytes =
      packed.bytes + packed_zeros.bytes + form.scales.bytes() + (order != nullptr ? order->bytes : 0);
  const auto width = static_cast<unsigned>(bits);
  form.codes = [codes = PackedWords(packed.data, out, width)](auto i, auto first, auto count, auto* to) {
    const std::size_t row = i / codes.per_word(), place = i % codes.per_word();
    for (std::size_t o = 0; o < count; ++o) to[o] = codes.in_word(codes.word(row, first + o), place);
  };
  form.zeros = [codes = PackedWords(packed_zeros.data, out / per_word, width), add = settings.added_to_zeros](
                   auto g, auto first, auto count, auto* to) {
    for (std::size_t o = 0; o < count; ++o) to[o] = (codes.along(g, first + o) + add) & codes.mask();
  };
  drop_zero_bias(module + ".bias", parts);
  parts.replace(module + ".weight", {out, in}, input_major_form(std::move(form)),
                {weights, zeros, scales, index});
}

}  // namespace

void present_gptq(const Config& quantization, StoredParts& parts) {
  Settings settings;
  settings.bits = static_cast<std::size_t>(quantization.integer("bits", 4, {1, 32}));
  settings.group_size = quantization.integer("group_size", -1, {-1, 1 << 24});
  if (settings.group_size == 0) quantization.fail("group_size", "must be above 0, or -1 for all inputs");
  const std::string format = quantization.text("checkpoint_format", "gptq");
  if (format == "gptq_v2") {
    settings.added_to_zeros = 0;
  } else if (format != "gptq") {
    quantization.fail(
        "checkpoint_format",
        fmt::format("'{}' is not supported; supported are gptq and gptq_v2", format.substr(0, 80)));
  }
  for (const std::string& module : parts.modules(".qweight")) present(module, settings, parts);
}

}  // namespace mmbatch::quantized
