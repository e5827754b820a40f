// AWQ (arXiv 2306.00978) as AutoAWQ's version "gemm" stores it: qweight I32 [in, out / 8], qzeros I32
// [in / group, out / 8], scales F16 [in / group, out].

#include <fmt/format.h>

#include "engine/weights/quantized/input_major.h"
#include "engine/weights/quantized/packed_words.h"
#include "engine/weights/quantized/stored_parts.h"

namespace mmbatch::quantized {
namespace {

constexpr std::size_t kPerWord = 8;
/// At which half byte of a word, counted from the lowest, each of eight outputs is.
constexpr std::size_t kPlaces[kPerWord] = {0, 4, 1, 5, 2, 6, 3, 7};

void unpack(const PackedWords& words, std::size_t row, std::size_t first, std::size_t count,
            std::uint32_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t column = first + i;
    out[i] = words.in_word(words.word(row, column / kPerWord), kPlaces[column % kPerWord]);
  }
}

void present(const std::string& module, std::int64_t group_size, StoredParts& parts) {
  const std::string weights = module + ".qweight", zeros = module + ".qzeros", scales = module + ".scales";
  const RawTensor& packed = *parts.other(weights);
  if (packed.type != "I32" || packed.shape.size() != 2 || packed.bytes == 0)
    fail(weights, "must be I32 of shape [in, out / 8]");
  const std::size_t in = packed.shape[0], words = packed.shape[1], out = words * kPerWord;
  const std::size_t group = group_size < 0 ? in : static_cast<std::size_t>(group_size);
  if (in % group != 0) fail(weights, fmt::format("{} inputs are not whole groups of {}", in, group));
  InputMajor form{.name = "AWQ 4 bit", .in = in, .out = out, .groups = in / group};
  for (std::size_t i = 0; i < in; ++i) form.group_of.push_back(static_cast<std::uint32_t>(i / group));
  form.scales = parts.tensor(scales, {form.groups, out});
  const RawTensor& packed_zeros = parts.other(zeros, "I32", {form.groups, words});
  form.bytes = packed.bytes + packed_zeros.bytes + form.scales.bytes();
  form.codes = [codes = PackedWords(packed.data, words, 4)](auto i, auto first, auto count, auto* to) {
    unpack(codes, i, first, count, to);
  };
  form.zeros = [codes = PackedWords(packed_zeros.data, words, 4)](auto g, auto first, auto count, auto* to) {
    unpack(codes, g, first, count, to);
  };
  parts.replace(module + ".weight", {out, in}, input_major_form(std::move(form)), {weights, zeros, scales});
}

}  // namespace

void present_awq(const Config& quantization, StoredParts& parts) {
  if (quantization.integer("bits", 4) != 4) quantization.fail("bits", "only 4 is supported for awq");
  const std::string version = quantization.text("version", "gemm");
  if (version != "gemm" && version != "GEMM") {
    quantization.fail("version", fmt::format("'{}' lays weights out in another way; supported is gemm",
                                             version.substr(0, 80)));
  }
  if (!quantization.flag("zero_point", true))
    quantization.fail("zero_point", "only true is supported for awq");
  const std::int64_t group = quantization.integer("group_size", 128, {-1, 1 << 24});
  if (group == 0) quantization.fail("group_size", "must be above 0, or -1 for all inputs");
  for (const std::string& module : parts.modules(".qweight")) present(module, group, parts);
}

}  // namespace mmbatch::quantized
