// Smoothing: what a block computes stays the same, and int8 comes near it although channels stand out.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <optional>
#include <random>

#include "engine/nn/calibration.h"
#include "engine/nn/layer.h"
#include "engine/weights/safetensors_folder.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

constexpr std::size_t kSmoothedHidden = 48, kSmoothedFfn = 80, kSmoothedRows = 9, kExperts = 3;

struct Case {
  const char* name;
  NormConfig norm;
  FeedForwardKind feed_forward;
  Bias bias;
  bool experts = false;  // in place of the feed-forward, all of them for every row
};

/// Random rows, seen by every block below.
Matrix<float> random_rows(unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Matrix<float> rows(kSmoothedRows, kSmoothedHidden);
  std::generate_n(rows.data(), kSmoothedRows * kSmoothedHidden, [&] { return normal(random); });
  return rows;
}

double relative_error(const Matrix<float>& expected, const Matrix<float>& got) {
  double squares = 0, errors = 0;
  for (std::size_t i = 0; i < kSmoothedRows * kSmoothedHidden; ++i) {
    squares += std::pow(expected.data()[i], 2);
    errors += std::pow(got.data()[i] - expected.data()[i], 2);
  }
  return std::sqrt(errors / squares);
}

/// A block whose norms make three channels that are 32 times as large as the others, read by weights that are
/// as much smaller; a fourth channel is always zero.
class OutlierBlock : public ::testing::TestWithParam<Case> {
 protected:
  OutlierBlock() {
    const Case& test = GetParam();
    config_.attention.hidden = config_.feed_forward.hidden = kSmoothedHidden;
    config_.attention.shape.heads = 4;
    config_.attention.shape.kv_heads = 2;
    config_.attention.shape.head_dim = 12;
    config_.attention.shape.scale = static_cast<float>(1 / std::sqrt(12.0));
    config_.attention.bias = config_.feed_forward.bias = test.bias;
    config_.feed_forward.ffn = kSmoothedFfn;
    config_.feed_forward.kind = test.feed_forward;
    config_.norm = test.norm;
    if (test.experts) {
      config_.experts.emplace();
      config_.experts->router = {.hidden = kSmoothedHidden, .experts = kExperts, .top_k = kExperts};
      config_.experts->experts = {.hidden = kSmoothedHidden, .ffn = kSmoothedFfn, .experts = kExperts};
    }

    testing::TensorFile file;
    for (const char* norm : {"norm1", "norm2"}) {
      file.add(norm + std::string(".weight"), {kSmoothedHidden},
               outliers(1, [&](std::size_t, float factor) { return 0.9f * factor - test.norm.offset; }));
      file.add(norm + std::string(".bias"), {kSmoothedHidden},
               outliers(1, [](std::size_t, float factor) { return 0.1f * factor; }));
    }
    std::normal_distribution<float> normal(0, 1 / std::sqrt(static_cast<float>(kSmoothedHidden)));
    const auto reads_norm = [&](std::size_t, float factor) {
      return factor > 0 ? normal(random_) / factor : normal(random_);
    };
    const auto plain = [&](std::size_t, float) { return normal(random_); };
    file.add("q.weight", {48, kSmoothedHidden}, outliers(48, reads_norm));
    file.add("k.weight", {24, kSmoothedHidden}, outliers(24, reads_norm));
    file.add("v.weight", {24, kSmoothedHidden}, outliers(24, reads_norm));
    file.add("o.weight", {kSmoothedHidden, 48}, outliers(48, plain));
    file.add("gate.weight", {kSmoothedFfn, kSmoothedHidden}, outliers(kSmoothedFfn, reads_norm));
    file.add("up.weight", {kSmoothedFfn, kSmoothedHidden}, outliers(kSmoothedFfn, reads_norm));
    file.add_random("down.weight", {kSmoothedHidden, kSmoothedFfn}, 0, 0.1f);
    file.add("router.weight", {kExperts, kSmoothedHidden}, outliers(kExperts, reads_norm));
    std::vector<float> all;
    for (std::size_t e = 0; e < kExperts; ++e) {
      const std::vector<float> both = outliers(2 * kSmoothedFfn, reads_norm);
      all.insert(all.end(), both.begin(), both.end());
    }
    file.add("experts.gate_up", {kExperts, 2 * kSmoothedFfn, kSmoothedHidden}, all);
    file.add_random("experts.down", {kExperts, kSmoothedHidden, kSmoothedFfn}, 0, 0.1f);
    for (const auto& [name, size] : {std::pair{"q", 48}, {"k", 24}, {"v", 24}, {"up", 80}, {"down", 48}})
      file.add_random(name + std::string(".bias"), {static_cast<std::size_t>(size)}, 0, 0.1f);
    file.write(folder_.path() / "model.safetensors");
    checkpoint_.emplace(folder_.path());
  }

  /// [rows, kSmoothedHidden]; `value` is told the channel and how far it stands out.
  static std::vector<float> outliers(std::size_t rows,
                                     const std::function<float(std::size_t, float)>& value) {
    std::vector<float> values;
    for (std::size_t i = 0; i < rows * kSmoothedHidden; ++i) {
      const std::size_t channel = i % kSmoothedHidden;
      values.push_back(value(channel, channel == 7 ? 0.0f : channel % 17 == 3 ? 32.0f : 1.0f));
    }
    return values;
  }

  Matrix<float> forward(Precision precision, const WeightHooks& hooks, unsigned seed = 2) const {
    LayerNames names;
    names.attention = {"q", "k", "v", "o"};
    names.feed_forward = {"gate", "up", "down"};
    names.before_attention = "norm1";
    names.before_feed_forward = "norm2";
    names.experts.router.projection = "router";
    names.experts.experts = {"experts.{expert}.gate",
                             "experts.{expert}.up",
                             "experts.{expert}.down",
                             "experts.gate_up",
                             "experts.down",
                             "",
                             ""};
    const Layer layer({*checkpoint_, precision, hooks}, config_, names);
    Matrix<float> x = random_rows(seed);
    AttentionSpan span;
    const PositionRange all{0, kSmoothedRows};
    span.count = kSmoothedRows;
    span.bidirectional = {&all, 1};
    AttentionInput input;
    input.spans = std::span(&span, 1);
    Scratch scratch;
    layer.forward(x.view(), input, scratch);
    return x;
  }

  Smoothing smoothing(float alpha) const {
    Calibration calibration;
    WeightHooks hooks;
    hooks.calibration = &calibration;
    forward(Precision::f32, hooks, 1);
    return smoothing_of(calibration, *checkpoint_, alpha);
  }

  testing::TemporaryFolder folder_;
  std::optional<SafetensorsFolder> checkpoint_;
  LayerConfig config_;
  std::mt19937 random_{5};
};

TEST_P(OutlierBlock, ComputesTheSameInFloat32) {
  const Matrix<float> expected = forward(Precision::f32, {});
  for (const float alpha : {0.0f, 0.5f, 1.0f}) {
    const Smoothing smooth = smoothing(alpha);
    const Matrix<float> got = forward(Precision::f32, {{}, nullptr, &smooth});
    if (GetParam().norm.offset == 0) {
      EXPECT_EQ(std::memcmp(got.data(), expected.data(), expected.bytes()), 0) << alpha;
    }
    EXPECT_LT(relative_error(expected, got), 1e-6) << alpha;
  }
}

TEST_P(OutlierBlock, ComesNearerToFloat32InInt8AndInt4) {
  const Matrix<float> expected = forward(Precision::f32, {});
  const Smoothing smooth = smoothing(0.5f);
  for (const Precision precision : {Precision::int8, Precision::int4}) {
    const double before = relative_error(expected, forward(precision, {}));
    const double after = relative_error(expected, forward(precision, {{}, nullptr, &smooth}));
    EXPECT_LT(after, before / (precision == Precision::int8 ? 4 : 1.5)) << to_string(precision);
  }
}

TEST_P(OutlierBlock, FactorsArePowersOfTwoThatFollowTheOutliers) {
  const Smoothing smooth = smoothing(0.5f);
  const bool gated = GetParam().feed_forward == FeedForwardKind::gated, experts = GetParam().experts;
  EXPECT_EQ(smooth.factors.size(), experts ? 3 + 2 * kExperts : gated ? 5u : 4u);
  EXPECT_EQ(smooth.tensors.size(), GetParam().norm.kind == NormKind::layer ? 4u : experts ? 3u : 2u);
  if (experts) {
    EXPECT_EQ(smooth.factors.count("experts.2.up.weight"), 1u);
    EXPECT_EQ(smooth.tensors.count("router.weight"), 1u) << "which is not packed";
  }
  const std::span<const float> query = smooth.factors_of("q.weight"), key = smooth.factors_of("k.weight");
  EXPECT_TRUE(std::equal(query.begin(), query.end(), key.begin(), key.end()));
  EXPECT_TRUE(smooth.factors_of("o.weight").empty());
  EXPECT_TRUE(smooth.factors_of("down.weight").empty());
  for (std::size_t i = 0; i < kSmoothedHidden; ++i) {
    EXPECT_EQ(std::log2(query[i]), std::nearbyint(std::log2(query[i])));
    if (i == 7) {
      EXPECT_EQ(query[i], 1) << "a channel that is always zero";
    } else if (i % 17 == 3) {
      EXPECT_GE(query[i], 16) << i;
    } else {
      EXPECT_LE(query[i], 4) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Norms, OutlierBlock,
    ::testing::Values(Case{"rms", {NormKind::rms, 1e-6f, 0}, FeedForwardKind::gated, Bias::absent},
                      Case{"rms_one_plus", {NormKind::rms, 1e-6f, 1}, FeedForwardKind::gated, Bias::absent},
                      Case{"experts", {NormKind::rms, 1e-6f, 0}, FeedForwardKind::gated, Bias::absent, true},
                      Case{"layer", {NormKind::layer, 1e-5f, 0}, FeedForwardKind::plain, Bias::present}),
    [](const auto& info) { return info.param.name; });

TEST(Smoothing, ChannelsThatWereNeverSeenKeepTheirSize) {
  const testing::TemporaryFolder folder;
  testing::TensorFile file;
  file.add_random("norm.weight", {8}, 1, 0.1f);
  file.add_random("a.weight", {3, 8}, 0, 1);
  file.write(folder.path() / "model.safetensors");
  const SafetensorsFolder checkpoint(folder.path());
  Calibration calibration;
  calibration.add("norm", {}, {{checkpoint.tensor("a.weight")}});
  const Smoothing smooth = smoothing_of(calibration, checkpoint, 0.5f);
  EXPECT_EQ(smooth.factors.at("a.weight"), std::vector<float>(8, 1.0f));
  EXPECT_EQ(smooth.tensors.at("norm.weight"), to_floats(checkpoint.tensor("norm.weight")));
}

}  // namespace
}  // namespace mmbatch
