// What prompts may share, and features that stand in several places of one.

#include "engine/decoder/prompt.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

std::shared_ptr<const Matrix<float>> rows(std::size_t count) {
  return std::make_shared<const Matrix<float>>(Matrix<float>::zeros(count, 4));
}

/// Ten tokens, of which 2 … 5 are an image of four rows.
Prompt prompt_with_image() {
  Prompt prompt;
  prompt.ids.assign(10, 7);
  prompt.features.push_back({.begin = 2, .rows = rows(4), .key = 9});
  return prompt;
}

TEST(Prompt, PrefixesAreShareableWhereOnlyTheRowsOfAnImageSeeLaterOnes) {
  Prompt prompt = prompt_with_image();
  EXPECT_TRUE(has_shareable_prefixes(prompt));
  prompt.bidirectional = {{2, 6}};
  EXPECT_TRUE(has_shareable_prefixes(prompt));
  prompt.bidirectional = {{2, 7}};  // a row depends on a token that its key does not stand for
  EXPECT_FALSE(has_shareable_prefixes(prompt));
  prompt.bidirectional = {{2, 6}, {8, 10}};
  EXPECT_FALSE(has_shareable_prefixes(prompt));
}

TEST(Prompt, WhatAnImagesRowsSeeIsPartOfTheirContent) {
  const Prompt causal = prompt_with_image();
  Prompt both_ways = causal;
  both_ways.bidirectional = {{2, 6}};
  const auto a = content_keys(causal), b = content_keys(both_ways);
  EXPECT_EQ(a[1], b[1]);
  for (std::size_t i = 2; i < 6; ++i) EXPECT_NE(a[i], b[i]) << i;
  EXPECT_EQ(a[6], b[6]);
}

TEST(Prompt, ImagesAreToldApartBy128BitsOfTheirDigests) {
  const std::string digest = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";
  EXPECT_EQ(key_of_digest(digest), PrefixKey(0x0011223344556677, 0x8899aabbccddeeff));
  Prompt one = prompt_with_image(), other = one;
  one.features[0].key = key_of_digest(digest);
  for (const std::size_t digit : {0u, 15u, 16u, 31u}) {
    std::string near = digest;
    near[digit] = '3';
    other.features[0].key = key_of_digest(near);
    const auto a = content_keys(one), b = content_keys(other);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i] == b[i], i < 2 || i >= 6) << digit << ' ' << i;
  }
}

TEST(Prompt, AnImagesRowsMayHaveTokensBetweenThem) {
  const auto image = rows(4);
  Prompt prompt;
  prompt.ids.assign(7, 7);
  prompt.features.push_back({.begin = 1, .rows = image, .key = 9, .first = 0, .count = 2});
  prompt.features.push_back({.begin = 4, .rows = image, .key = 9, .first = 2, .count = 2});
  check(prompt);
  EXPECT_EQ(feature_row(prompt, 0), nullptr);
  EXPECT_EQ(feature_row(prompt, 2), image->row(1));
  EXPECT_EQ(feature_row(prompt, 3), nullptr);
  EXPECT_EQ(feature_row(prompt, 4), image->row(2));
  EXPECT_EQ(feature_row(prompt, 6), nullptr);
  // Equal rows, equal keys, wherever they stand.
  const auto keys = content_keys(prompt), whole = content_keys(prompt_with_image());
  EXPECT_EQ(keys[1], whole[2]);
  EXPECT_EQ(keys[5], whole[5]);
  prompt.features.back().count = 3;
  EXPECT_THROW(check(prompt), ItemError);
}

}  // namespace
}  // namespace mmbatch
