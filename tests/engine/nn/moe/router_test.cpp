// Which experts tokens go to, against the formulas written out.

#include "engine/nn/moe/router.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "engine/weights/safetensors_folder.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

/// A router over one channel: the logit of expert e is x · logits[e].
class RouterOf {
 public:
  explicit RouterOf(const std::vector<float>& logits) : experts_(logits.size()) {
    file_.add("gate.weight", {experts_, 1}, logits);
  }
  RouterOf& with(const std::string& name, const std::vector<float>& values) {
    file_.add(name, {values.size()}, values);
    return *this;
  }
  std::vector<ChosenExpert> route(RouterConfig config, RouterNames names = {"gate", "", ""}, float x = 1.0f,
                                  Precision precision = Precision::f32) const {
    const testing::TemporaryFolder folder;
    file_.write(folder.path() / "model.safetensors");
    const SafetensorsFolder source(folder.path());
    config.hidden = 1;
    config.experts = experts_;
    std::vector<ChosenExpert> chosen;
    Router({source, precision}, config, names).route({&x, 1, 1}, chosen);
    return chosen;
  }

 private:
  std::size_t experts_;
  testing::TensorFile file_;
};

void expect_chosen(const std::vector<ChosenExpert>& chosen, const std::vector<std::uint32_t>& experts,
                   const std::vector<double>& weights) {
  ASSERT_EQ(chosen.size(), experts.size());
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    EXPECT_EQ(chosen[i].expert, experts[i]) << i;
    EXPECT_NEAR(chosen[i].weight, weights[i], 1e-6) << i;
  }
}

double exponential(double x) {
  return std::exp(x);
}

TEST(Router, SoftmaxOverAllKeepsOrDividesTheChosenWeights) {
  const RouterOf router({0.5f, 2.0f, -1.0f, 1.5f});
  const double all = exponential(0.5) + exponential(2) + exponential(-1) + exponential(1.5);
  expect_chosen(router.route({.top_k = 2}), {1, 3}, {exponential(2) / all, exponential(1.5) / all});
  const double two = exponential(2) + exponential(1.5);
  expect_chosen(router.route({.top_k = 2, .sum = RouterSum::one}), {1, 3},
                {exponential(2) / two, exponential(1.5) / two});
  expect_chosen(router.route({.top_k = 2, .sum = RouterSum::one, .scale = 2.5f}), {1, 3},
                {2.5 * exponential(2) / two, 2.5 * exponential(1.5) / two});
}

TEST(Router, SoftmaxOverTheChosenTakesTheBiasIntoTheLogits) {
  RouterOf router({0.5f, 2.0f, -1.0f, 1.5f});
  router.with("gate.bias", {3.0f, 0.0f, 0.0f, 0.25f});
  const double two = exponential(3.5) + exponential(2);
  expect_chosen(router.route({.top_k = 2, .scores = RouterScores::softmax_top_k, .bias = Bias::present}),
                {0, 1}, {exponential(3.5) / two, exponential(2) / two});
}

TEST(Router, OfEqualScoresTheLowerNumberIsTaken) {
  const RouterOf router({1.0f, 3.0f, 1.0f, 1.0f, 3.0f, 1.0f});
  for (const RouterScores scores :
       {RouterScores::softmax, RouterScores::softmax_top_k, RouterScores::sigmoid}) {
    const auto chosen = router.route({.top_k = 4, .scores = scores});
    ASSERT_EQ(chosen.size(), 4u);
    EXPECT_EQ(chosen[0].expert, 0u);
    EXPECT_EQ(chosen[1].expert, 1u);
    EXPECT_EQ(chosen[2].expert, 2u);
    EXPECT_EQ(chosen[3].expert, 4u);
  }
}

TEST(Router, CorrectionChoosesButDoesNotWeigh) {
  RouterOf router({0.0f, 1.0f, 2.0f, 3.0f});
  router.with("correction", {5.0f, 0.0f, 0.0f, -5.0f});
  const auto sigmoid = [](double x) { return 1 / (1 + exponential(-x)); };
  expect_chosen(router.route({.top_k = 2, .scores = RouterScores::sigmoid}, {"gate", "correction", ""}),
                {0, 2}, {sigmoid(0), sigmoid(2)});
}

TEST(Router, GroupsAreChosenByTheirTwoBest) {
  RouterConfig config{.top_k = 2, .scores = RouterScores::sigmoid};
  config.groups = 3;
  config.top_groups = 1;
  const auto chosen = RouterOf({4.0f, -4.0f, -4.0f, 1.0f, 2.0f, -3.0f, 0.0f, 0.0f, 0.0f}).route(config);
  ASSERT_EQ(chosen.size(), 2u);
  EXPECT_EQ(chosen[0].expert, 3u);
  EXPECT_EQ(chosen[1].expert, 4u);
}

TEST(Router, ScalesOfExpertsComeLast) {
  RouterOf router({1.0f, 1.0f, 0.0f});
  router.with("scale", {2.0f, 0.5f, 1.0f});
  expect_chosen(router.route({.top_k = 2, .sum = RouterSum::one}, {"gate", "", "scale"}), {0, 1},
                {1.0, 0.25});
}

TEST(Router, WhatIsNotANumberStillGoesToSomebodyOnce) {
  const auto chosen = RouterOf({1.0f, 2.0f, 3.0f})
                          .route({.top_k = 3}, {"gate", "", ""}, std::numeric_limits<float>::quiet_NaN());
  ASSERT_EQ(chosen.size(), 3u);
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(chosen[i].expert, i);
}

TEST(Router, ComputesInFloat32WhateverThePrecision) {
  // 256 and 257 are one number in bfloat16.
  std::vector<float> logits(40, 0.0f);
  logits[3] = 256.0f;
  logits[33] = 257.0f;
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8, Precision::int4}) {
    const auto chosen = RouterOf(logits).route({.top_k = 1}, {"gate", "", ""}, 1.0f, precision);
    EXPECT_EQ(chosen.front().expert, 33u) << to_string(precision);
  }
}

}  // namespace
}  // namespace mmbatch
