// The formats of the compressed-tensors library: pack-quantized ("weight_packed"), int-quantized and
// float-quantized ("weight" of I8 or F8_E4M3), each with "weight_scale".

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>

#include "engine/weights/files/stored_place.h"
#include "engine/weights/quantized/packed_words.h"
#include "engine/weights/quantized/rows_form.h"
#include "engine/weights/quantized/scaled_bytes.h"
#include "engine/weights/quantized/whole_groups.h"

namespace mmbatch::quantized {
namespace {

/// Codes packed along the inputs, scales [out, groups]; codes and zeros are stored plus half their range.
struct Packed {
  PackedWords codes;
  std::optional<PackedWords> zeros;  // [groups] words packed along the outputs: row o / per word
  TensorView scales;
  std::vector<std::uint32_t> group_of;
  std::size_t groups = 0;
};

class PackedForm final : public RowsForm, public StoredPlace {
 public:
  PackedForm(std::string name, std::size_t bytes, Packed weight)
      : RowsForm(std::move(name), weight.group_of.size(), bytes), weight_(std::move(weight)) {
    auto order = order_of_groups(weight_.group_of, weight_.groups);
    if (!order) return;
    order_ = std::move(*order);
    grouping_ = &quantized::grouping_of({static_cast<unsigned>(std::bit_width(weight_.codes.mask())),
                                         are_halves(weight_.scales), !weight_.zeros});
  }

  const Grouping* grouping() const override { return grouping_; }
  const std::byte* place() const override { return place_of(weight_.scales); }
  std::span<const std::uint32_t> order() const override { return order_; }

  void read_groups(std::size_t begin, std::size_t count, const GroupedValues& out) const override {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t row = (begin + i) / columns(), place = (begin + i) % columns();
      const std::size_t column = order_.empty() ? place : order_[place];
      out.codes[i] = static_cast<std::uint8_t>(weight_.codes.along(row, column));
      if (i % 32 != 0) continue;
      const std::size_t group = weight_.group_of[column];
      float scale = 0;
      copy_as_float(weight_.scales, row * weight_.groups + group, 1, &scale);
      put_group(*grouping_, scale, zero_of(row, group), out.behind(*grouping_, i));
    }
  }

 protected:
  void read_part(const Part& part, float* out) const override {
    const int half = static_cast<int>(weight_.codes.mask() / 2 + 1);
    std::vector<float> scales(weight_.groups);
    std::vector<int> zeros(weight_.groups, half);
    for (std::size_t r = part.row; r < part.row + part.rows; ++r) {
      copy_as_float(weight_.scales, r * weight_.groups, weight_.groups, scales.data());
      for (std::size_t g = 0; weight_.zeros && g < weight_.groups; ++g) zeros[g] = zero_of(r, g);
      for (std::size_t i = part.column; i < part.column + part.columns; ++i) {
        const std::size_t group = weight_.group_of[i];
        *out++ =
            scales[group] * static_cast<float>(static_cast<int>(weight_.codes.along(r, i)) - zeros[group]);
      }
    }
  }

 private:
  int zero_of(std::size_t row, std::size_t group) const {
    if (!weight_.zeros) return static_cast<int>(weight_.codes.mask() / 2 + 1);
    const std::size_t per = weight_.zeros->per_word();
    return static_cast<int>(weight_.zeros->in_word(weight_.zeros->word(row / per, group), row % per));
  }

  Packed weight_;
  const Grouping* grouping_ = nullptr;
  std::vector<std::uint32_t> order_;
};

std::pair<std::size_t, std::size_t> read_shape(const std::string& name, const RawTensor& stored) {
  std::int64_t sizes[2];
  std::memcpy(sizes, stored.data, sizeof(sizes));
  for (const std::int64_t size : sizes) {
    if (size < 1 || size > std::int64_t{1} << 32) fail(name, fmt::format("{} is not a possible size", size));
  }
  return {static_cast<std::size_t>(sizes[0]), static_cast<std::size_t>(sizes[1])};
}

/// Bits of a code: those with which the inputs fill as many words as are stored.
std::size_t find_bits(const std::string& name, const RawTensor& packed, std::size_t in) {
  for (const std::size_t bits : {4, 8, 2}) {
    if ((in * bits + 31) / 32 == packed.shape[1]) return bits;
  }
  fail(name, fmt::format("{} words a row for {} inputs: supported are 2, 4 and 8 bits", packed.shape[1], in));
}

std::vector<std::uint32_t> read_groups(const std::string& name, const StoredParts& parts, std::size_t in,
                                       std::size_t groups) {
  std::vector<std::uint32_t> group_of(in);
  if (parts.other(name) != nullptr) {  // actorder "group"
    const RawTensor& stored = parts.other(name, "I32", {in});
    std::memcpy(group_of.data(), stored.data, stored.bytes);
    if (std::any_of(group_of.begin(), group_of.end(), [&](auto g) { return g >= groups; }))
      fail(name, fmt::format("names a group that is not one of {}", groups));
    return group_of;
  }
  const std::size_t size = (in + groups - 1) / groups;
  for (std::size_t i = 0; i < in; ++i) group_of[i] = static_cast<std::uint32_t>(i / size);
  return group_of;
}

/// What a weight's tensors are.
struct Stored {
  std::size_t bits;
  bool is_float;
  std::size_t in, groups;  // groups: scales of a row, where the config says how long they are
};

bool fits(const Config& weights, const Stored& stored) {
  if (weights.integer("num_bits", 8, {1, 64}) != static_cast<std::int64_t>(stored.bits)) return false;
  if ((weights.text("type", "int") == "float") != stored.is_float) return false;
  const std::int64_t size = weights.integer("group_size", -1, {-1, 1 << 24});
  if (size > 0)
    return stored.groups == (stored.in + static_cast<std::size_t>(size) - 1) / static_cast<std::size_t>(size);
  return weights.text("strategy", "") != "channel" || stored.groups == 1;
}

/// Tensors say what they are; a config that says otherwise of all of its groups belongs to others.
void check_groups(const Config& quantization, const std::string& weight, const Stored& stored) {
  std::vector<std::string> said;
  for (const auto& [name, group] : quantization.object("config_groups").members()) {
    const Config weights = group.child("weights");
    if (!weights.has("num_bits")) continue;
    if (fits(weights, stored)) return;
    said.push_back(name);
  }
  if (said.empty()) return;
  fail(weight,
       fmt::format(
           "{} bits of type {}, {} groups in a row of {} inputs: no group of the config's config_groups "
           "({}) describes such weights",
           stored.bits, stored.is_float ? "float" : "int", stored.groups, stored.in, fmt::join(said, ", ")));
}

void present_packed(const std::string& module, const Config& quantization, StoredParts& parts) {
  const std::string weight = module + ".weight", codes = weight + "_packed", scales = weight + "_scale",
                    zeros = weight + "_zero_point", shape = weight + "_shape", index = weight + "_g_idx";
  const RawTensor& packed = *parts.other(codes);
  const auto [out, in] = read_shape(shape, parts.other(shape, "I64", {2}));
  if (packed.type != "I32" || packed.shape.size() != 2 || packed.shape[0] != out || packed.bytes == 0)
    fail(codes, fmt::format("must be I32 of {} rows, is {} of shape {}", out, packed.type,
                            shape_text(packed.shape)));
  const std::size_t bits = find_bits(codes, packed, in);
  const TensorView scale_view = parts.tensor(scales);
  const std::size_t groups = scale_view.shape.size() == 2 ? scale_view.shape[1] : 1;
  if (scale_view.shape != std::vector<std::size_t>{out, groups} || groups == 0 || in % groups != 0)
    fail(scales, fmt::format("shape {} fits no weight of [{}, {}]", shape_text(scale_view.shape), out, in));
  check_groups(quantization, weight, {bits, false, in, groups});
  const auto width = static_cast<unsigned>(bits);
  Packed form{.codes = PackedWords(packed.data, packed.shape[1], width),
              .zeros = {},
              .scales = scale_view,
              .group_of = read_groups(index, parts, in, groups),
              .groups = groups};
  std::size_t bytes = packed.bytes + scale_view.bytes();
  if (parts.other(zeros) != nullptr) {
    const RawTensor& stored = parts.other(zeros, "I32", {(out * bits + 31) / 32, groups});
    form.zeros = PackedWords(stored.data, groups, width);
    bytes += stored.bytes;
  }
  const std::string name = fmt::format("W{}A16", bits);
  parts.replace(weight, {out, in}, std::make_shared<PackedForm>(name, bytes, std::move(form)),
                {codes, scales, zeros, shape, index});
}

/// Whether activations of weights in eight bits are to be int8 with a scale for each token, found when it is
/// computed.
bool rounds_tokens(const Config& quantization) {
  bool some = false;
  for (const auto& [name, group] : quantization.child("config_groups").members()) {
    const Config weights = group.child("weights"), activations = group.child("input_activations");
    if (weights.text("type", "int") != "int" || weights.integer("num_bits", 8) != 8) continue;
    some = activations.flag("dynamic", false) && activations.text("strategy", "") == "token" &&
           activations.text("type", "int") == "int" && activations.integer("num_bits", 8) == 8 &&
           activations.flag("symmetric", true);
    if (!some) return false;
  }
  return some;
}

void present_bytes(const std::string& module, const Config& quantization, StoredParts& parts) {
  const std::string weight = module + ".weight", scales = weight + "_scale", zeros = weight + "_zero_point";
  const RawTensor stored = *parts.other(weight);
  if (stored.shape.size() != 2 || stored.bytes == 0) fail(weight, "must be of shape [out, in]");
  ScaledBytes form{.name = stored.type == "I8" ? "W8A8" : "FP8", .weight = stored};
  const TensorView scale_view = parts.tensor(scales);
  form.bytes = stored.bytes + scale_view.bytes();
  form.scales = to_floats(scale_view);
  set_blocks(form, scales, scale_view.shape);
  check_groups(quantization, weight,
               {8, stored.type != "I8", stored.shape[1], stored.shape[1] / form.block_columns});
  form.rounds_tokens = rounds_tokens(quantization);
  if (const RawTensor* zero = parts.other(zeros); zero != nullptr) {
    if (zero->type != "I8" || zero->bytes != form.scales.size())
      fail(zeros, "must be I8, one for each scale");
    form.zeros.resize(zero->bytes);
    std::memcpy(form.zeros.data(), zero->data, zero->bytes);
  }
  parts.others.erase(weight);
  parts.replace(weight, stored.shape, scaled_bytes_form(std::move(form)),
                {scales, zeros, module + ".input_scale"});
}

void check_format(const Config& quantization) {
  const std::string format = quantization.text("format", "pack-quantized");
  static const std::vector<std::string> known = {"pack-quantized",  "int-quantized",   "float-quantized",
                                                 "naive-quantized", "mixed-precision", "dense"};
  if (std::find(known.begin(), known.end(), format) == known.end()) {
    quantization.fail("format",
                      fmt::format("'{}' is not supported; supported are pack-quantized, int-quantized and "
                                  "float-quantized",
                                  format.substr(0, 80)));
  }
  if (!quantization.child("transform_config").members().empty())
    quantization.fail("transform_config", "transforms of activations are not supported");
  if (quantization.child("sparsity_config").text("format", "dense") != "dense")
    quantization.fail("sparsity_config", "sparse weights are not supported");
}

}  // namespace

void present_compressed_tensors(const Config& quantization, StoredParts& parts) {
  check_format(quantization);
  for (const std::string& module : parts.modules(".weight_packed"))
    present_packed(module, quantization, parts);
  for (const std::string& module : parts.modules(".weight")) {
    const std::string& type = parts.others.at(module + ".weight").type;
    const bool scaled = parts.tensors.count(module + ".weight_scale") > 0;
    if (scaled && (type == "I8" || type == "F8_E4M3")) present_bytes(module, quantization, parts);
  }
}

}  // namespace mmbatch::quantized
