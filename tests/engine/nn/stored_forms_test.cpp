// Weights that are stored in another form than they are multiplied in give what the usual form gives: [in,
// out], queries, keys and values as one tensor, gate and up as one tensor.

#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <random>

#include "engine/nn/layer.h"
#include "engine/weights/safetensors_folder.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

constexpr std::size_t kFormHidden = 24, kFormFfn = 37, kFormRows = 5;

std::vector<float> random_values(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.3f);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

std::vector<float> transposed_values(const std::vector<float>& values, std::size_t rows) {
  const std::size_t cols = values.size() / rows;
  std::vector<float> out(values.size());
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < cols; ++c) out[c * rows + r] = values[r * cols + c];
  return out;
}

/// A weight in both orders, whole and in parts of so many rows.
void add_forms(testing::TensorFile& file, const std::vector<std::pair<std::string, std::size_t>>& parts,
               const std::string& whole, std::size_t in) {
  std::vector<float> all;
  for (const auto& [name, out] : parts) {
    const std::vector<float> values = random_values(out * in, static_cast<unsigned>(all.size() + out));
    file.add(name + ".weight", {out, in}, values);
    file.add(name + ".turned.weight", {in, out}, transposed_values(values, out));
    all.insert(all.end(), values.begin(), values.end());
  }
  const std::size_t out = all.size() / in;
  file.add(whole + ".weight", {out, in}, all);
  file.add(whole + ".turned.weight", {in, out}, transposed_values(all, out));
}

class StoredForms : public ::testing::Test {
 protected:
  StoredForms() {
    testing::TensorFile file;
    file.add_random("norm1.weight", {kFormHidden}, 1, 0.1f);
    file.add_random("norm2.weight", {kFormHidden}, 1, 0.1f);
    add_forms(file, {{"q", 24}, {"k", 12}, {"v", 12}}, "qkv", kFormHidden);
    add_forms(file, {{"o", kFormHidden}}, "o_alone", 24);
    add_forms(file, {{"gate", kFormFfn}, {"up", kFormFfn}}, "gate_up", kFormHidden);
    add_forms(file, {{"down", kFormHidden}}, "down_alone", kFormFfn);
    file.write(folder_.path() / "model.safetensors");
    weights_.emplace(folder_.path());
  }

  Matrix<float> forward(const LayerNames& names, WeightOrder order, Precision precision) const {
    LayerConfig config;
    config.attention.hidden = kFormHidden;
    config.attention.shape = {.heads = 4, .kv_heads = 2, .head_dim = 6, .scale = 0.4f};
    config.attention.order = config.feed_forward.order = order;
    config.feed_forward.hidden = kFormHidden;
    config.feed_forward.ffn = kFormFfn;
    const Layer layer({*weights_, precision}, config, names);
    Matrix<float> x(kFormRows, kFormHidden);
    const std::vector<float> values = random_values(kFormRows * kFormHidden, 5);
    std::memcpy(x.data(), values.data(), x.bytes());
    AttentionSpan span;
    span.count = kFormRows;
    Scratch scratch;
    layer.forward(
        x.view(),
        {.spans = {&span, 1}, .places = {}, .query_rows = {}, .per_layer = {}, .recurrent = {}, .cross = {}},
        scratch);
    return x;
  }

  static LayerNames names(const std::string& behind) {
    LayerNames names;
    names.attention.query = "q" + behind;
    names.attention.key = "k" + behind;
    names.attention.value = "v" + behind;
    names.attention.output = "o" + behind;
    names.feed_forward.gate = "gate" + behind;
    names.feed_forward.up = "up" + behind;
    names.feed_forward.down = "down" + behind;
    names.before_attention = "norm1";
    names.before_feed_forward = "norm2";
    return names;
  }

 private:
  testing::TemporaryFolder folder_;
  std::optional<SafetensorsFolder> weights_;
};

TEST_F(StoredForms, InsAndOutsThatChangedPlacesGiveTheSameBits) {
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8, Precision::int4}) {
    const Matrix<float> usual = forward(names(""), WeightOrder::out_in, precision);
    const Matrix<float> turned = forward(names(".turned"), WeightOrder::in_out, precision);
    EXPECT_EQ(std::memcmp(usual.data(), turned.data(), usual.bytes()), 0) << to_string(precision);
  }
}

TEST_F(StoredForms, OneTensorGivesWhatItsPartsGive) {
  LayerNames fused = names("");
  fused.attention.query = fused.attention.key = fused.attention.value = "";
  fused.attention.query_key_value = "qkv";
  fused.feed_forward.gate = fused.feed_forward.up = "";
  fused.feed_forward.gate_up = "gate_up";
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8, Precision::int4}) {
    const Matrix<float> usual = forward(names(""), WeightOrder::out_in, precision);
    const Matrix<float> one = forward(fused, WeightOrder::out_in, precision);
    for (std::size_t i = 0; i < kFormRows * kFormHidden; ++i)
      ASSERT_NEAR(usual.data()[i], one.data()[i], 1e-5) << to_string(precision) << " " << i;
  }
}

}  // namespace
}  // namespace mmbatch
