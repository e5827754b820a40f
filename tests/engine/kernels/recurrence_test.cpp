// The gated delta rule token by token and in chunks, against the formula in double precision.

#include "engine/kernels/recurrent/recurrence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

struct Head {
  std::size_t tokens, keys, values;
  std::vector<float> query, key, value, decay, beta, state, out;

  Head(std::size_t tokens_, std::size_t keys_, std::size_t values_)
      : tokens(tokens_), keys(keys_), values(values_) {
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<float>& to, std::size_t n, float size) {
      to.resize(n);
      for (float& x : to) x = size * normal(random);
    };
    const float unit = 1.0f / std::sqrt(static_cast<float>(keys));
    fill(query, tokens * keys, unit);
    fill(key, tokens * keys, unit);
    fill(value, tokens * values, 1.0f);
    fill(decay, tokens, 0.3f);
    for (float& x : decay) x = -std::abs(x);
    fill(beta, tokens, 1.0f);
    for (float& x : beta) x = 1.0f / (1.0f + std::exp(-x));
    fill(state, keys * values, 0.5f);
    out.assign(tokens * values, 0.0f);
  }

  DeltaRule rule() {
    return {tokens,       keys,         values,      query.data(), key.data(),
            value.data(), decay.data(), beta.data(), state.data(), out.data()};
  }
};

/// The formula, in double precision.
void reference(Head& head) {
  std::vector<double> state(head.state.begin(), head.state.end());
  for (std::size_t t = 0; t < head.tokens; ++t) {
    for (double& s : state) s *= std::exp(static_cast<double>(head.decay[t]));
    for (std::size_t v = 0; v < head.values; ++v) {
      double known = 0.0, read = 0.0;
      for (std::size_t k = 0; k < head.keys; ++k)
        known += state[k * head.values + v] * head.key[t * head.keys + k];
      const double change = head.beta[t] * (head.value[t * head.values + v] - known);
      for (std::size_t k = 0; k < head.keys; ++k) {
        double& s = state[k * head.values + v];
        s += change * head.key[t * head.keys + k];
        read += s * head.query[t * head.keys + k];
      }
      head.out[t * head.values + v] = static_cast<float>(read);
    }
  }
  std::copy(state.begin(), state.end(), head.state.begin());
}

void expect_near(const std::vector<float>& got, const std::vector<float>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 2e-5f) << i;
}

class DeltaRuleForm : public ::testing::TestWithParam<std::size_t> {};

TEST_P(DeltaRuleForm, StepsAndChunkAreTheFormula) {
  for (const auto& [keys, values] : {std::pair<std::size_t, std::size_t>{16, 48}, {128, 64}}) {
    Head expected(GetParam(), keys, values), steps = expected, chunk = expected;
    reference(expected);
    simd().delta_rule_steps(steps.rule());
    std::vector<float> scratch(DeltaRule::scratch(keys, values), NAN);
    simd().delta_rule_chunk(chunk.rule(), scratch.data());
    expect_near(steps.out, expected.out);
    expect_near(steps.state, expected.state);
    expect_near(chunk.out, expected.out);
    expect_near(chunk.state, expected.state);
  }
}

INSTANTIATE_TEST_SUITE_P(Tokens, DeltaRuleForm, ::testing::Values(1, 2, 15, 16, 17, 33, 63, 64));

TEST(CausalConvolution, SumsItsTapsAndTreatsMissingOnesAsZeros) {
  constexpr std::size_t kChannels = 21;
  std::vector<float> weight(3 * kChannels), one(kChannels, 2.0f), two(kChannels, -1.0f), out(kChannels);
  for (std::size_t i = 0; i < weight.size(); ++i) weight[i] = 0.1f * static_cast<float>(i % 7);
  CausalConvolution token{.channels = kChannels, .taps = 3, .weight = weight.data(), .out = out.data()};
  token.input[1] = one.data();
  token.input[2] = two.data();
  simd().causal_convolution(token);
  for (std::size_t c = 0; c < kChannels; ++c)
    EXPECT_FLOAT_EQ(out[c], 2.0f * weight[kChannels + c] - weight[2 * kChannels + c]);
  token.activated = true;
  const std::vector<float> plain = out;
  simd().causal_convolution(token);
  for (std::size_t c = 0; c < kChannels; ++c)
    EXPECT_NEAR(out[c], plain[c] / (1 + std::exp(-plain[c])), 1e-6f);
}

}  // namespace
}  // namespace mmbatch
