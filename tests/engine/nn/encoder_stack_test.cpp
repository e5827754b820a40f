// Encoders: a sequence has the same bits in every company, however many rows pass through the layers
// together.

#include "engine/nn/encoder/encoder_stack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>

#include "engine/weights/safetensors_folder.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

constexpr std::size_t kHidden = 32, kFfn = 48, kLayers = 2;

LayerConfig layer_config() {
  LayerConfig config;
  config.attention.hidden = kHidden;
  config.attention.shape = {2, 2, kHidden / 2, 0.25f};
  config.attention.bias = config.attention.output_bias = Bias::present;
  config.feed_forward = {kHidden, kFfn, FeedForwardKind::plain, Activation::quick_gelu, Bias::present};
  config.norm = {NormKind::layer, 1e-5f};
  return config;
}

LayerNames layer_names() {
  const LayerNames names{
      .attention = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"},
      .feed_forward = {"", "mlp.fc1", "mlp.fc2"},
      .before_attention = "layer_norm1",
      .after_attention = "",
      .before_feed_forward = "layer_norm2",
      .after_feed_forward = ""};
  return names.below("encoder.layers.{layer}.");
}

EncoderStackConfig stack_config() {
  return {.layer = layer_config(),
          .layers = kLayers,
          .names = layer_names(),
          .windowed = {},
          .attends = EncoderAttention::all};
}

class Encoder : public ::testing::Test {
 protected:
  Encoder() {
    testing::TensorFile file;
    const auto linear = [&](const std::string& name, std::size_t out, std::size_t in) {
      file.add_random(name + ".weight", {out, in}, 0.0f, 0.2f);
      file.add_random(name + ".bias", {out}, 0.0f, 0.1f);
    };
    for (std::size_t layer = 0; layer < kLayers; ++layer) {
      const std::string prefix = "encoder.layers." + std::to_string(layer) + ".";
      for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"})
        linear(prefix + "self_attn." + name, kHidden, kHidden);
      linear(prefix + "mlp.fc1", kFfn, kHidden);
      linear(prefix + "mlp.fc2", kHidden, kFfn);
      for (const char* name : {"layer_norm1", "layer_norm2"}) {
        file.add_random(prefix + name + ".weight", {kHidden}, 1.0f, 0.1f);
        file.add_random(prefix + name + ".bias", {kHidden}, 0.0f, 0.1f);
      }
    }
    file.write(folder_.path() / "model.safetensors");
  }

  Matrix<float> encode(const Weights& weights, const Matrix<float>& x, std::size_t first, std::size_t count,
                       std::size_t rows) const {
    Matrix<float> out(count, kHidden);
    std::copy_n(x.row(first), count * kHidden, out.data());
    Scratch scratch;
    const std::vector<std::size_t> sequences(count / rows, rows);
    EncoderStack(weights, stack_config()).forward(out.view(), {.sequences = sequences}, scratch);
    return out;
  }

  testing::TemporaryFolder folder_;
};

TEST_F(Encoder, GivesASequenceTheSameBitsInEveryCompany) {
  const SafetensorsFolder checkpoint(folder_.path());
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    const Weights weights(checkpoint, precision);
    for (const std::size_t rows : {7u, 300u, 1100u}) {  // many, three and less than one in a thousand rows
      const std::size_t sequences = 2300 / rows + 1;
      Matrix<float> x(sequences * rows, kHidden);
      std::generate_n(x.data(), x.rows() * kHidden, [&] { return normal(random); });
      const Matrix<float> together = encode(weights, x, 0, x.rows(), rows);
      for (const std::size_t sequence : {std::size_t{0}, sequences / 2, sequences - 1}) {
        const Matrix<float> alone = encode(weights, x, sequence * rows, rows, rows);
        EXPECT_EQ(std::memcmp(alone.data(), together.row(sequence * rows), rows * kHidden * sizeof(float)), 0)
            << to_string(precision) << ", sequence " << sequence << " of " << rows << " rows";
      }
    }
  }
}

TEST_F(Encoder, TakesSequencesOfDifferentLengths) {
  const SafetensorsFolder checkpoint(folder_.path());
  const Weights weights(checkpoint, Precision::f32);
  const std::vector<std::size_t> rows = {5, 700, 1, 400, 1300, 3};
  const std::size_t all = std::accumulate(rows.begin(), rows.end(), std::size_t{0});
  Matrix<float> x(all, kHidden), out(all, kHidden);
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::generate_n(x.data(), all * kHidden, [&] { return normal(random); });
  std::copy_n(x.data(), all * kHidden, out.data());
  Scratch scratch;
  EncoderStack(weights, stack_config()).forward(out.view(), {.sequences = rows}, scratch);
  for (std::size_t i = 0, first = 0; i < rows.size(); first += rows[i++]) {
    const Matrix<float> alone = encode(weights, x, first, rows[i], rows[i]);
    EXPECT_EQ(std::memcmp(alone.data(), out.row(first), alone.bytes()), 0) << i;
  }
}

}  // namespace
}  // namespace mmbatch
