#include "pipeline/stages/batch_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

/// Encodes numbers; negative ones it cannot.
class BatchEncoderTest : public ::testing::Test {
 protected:
  BatchEncoder<int>::Wanted wanted(int number) {
    return {std::to_string(number), [number] {
              if (number == 0) throw FatalError("nothing");
              return number;
            }};
  }
  std::vector<Features> encode(std::span<const int* const> inputs) {
    calls_.push_back(inputs.size());
    if (const auto arrive = std::exchange(meanwhile_, {})) arrive();
    std::vector<Features> all;
    for (const int* input : inputs) {
      if (*input < 0) throw ItemError(ErrorCode::invalid_value, "negative");
      all.push_back(std::make_shared<const FeatureRows>(FeatureMap{.rows = 1}, 1));
    }
    return all;
  }

  std::vector<std::size_t> calls_;   // of encode(), with so many inputs
  std::function<void()> meanwhile_;  // called during the next one
  Timeline timeline_;
  BatchEncoder<int> encoder_{
      {.cache_bytes = 0,
       .batch = 8,
       .encode = [this](std::span<const int* const> inputs, Scratch&) { return encode(inputs); }},
      timeline_};
};

TEST_F(BatchEncoderTest, WhatIsWrongWithOneInputFailsNoOther) {
  std::map<int, std::string> outcomes;
  const auto want = [&](int number) {
    encoder_({wanted(number)}, [&outcomes, number](const auto& features) {
      outcomes[number] = features ? "encoded" : features.error().message;
    });
  };
  meanwhile_ = [&] {
    for (const int number : {1, -2, 3}) want(number);
  };
  want(4);
  EXPECT_THAT(outcomes,
              ElementsAre(Pair(-2, "negative"), Pair(1, "encoded"), Pair(3, "encoded"), Pair(4, "encoded")));
  EXPECT_THAT(calls_, ElementsAre(1, 3, 1, 1, 1));
  EXPECT_EQ(timeline_.faults(Stage::encode_image), 1u);
}

TEST_F(BatchEncoderTest, AFatalFaultLeavesNobodyWaiting) {
  int heard = 0;
  const auto count = [&](const auto&) { ++heard; };
  EXPECT_THROW(encoder_({wanted(1), wanted(0), wanted(2)}, count), FatalError);
  encoder_({wanted(1)}, count);
  encoder_({wanted(2)}, count);
  EXPECT_EQ(heard, 3);
}

}  // namespace
}  // namespace mmbatch
