#include "fusion/compose.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Ids = std::vector<std::int32_t>;

EncodedImage image(std::size_t rows, std::uint64_t key) {
  return {std::make_shared<const FeatureRows>(FeatureMap{.rows = rows}, 4), key};
}

ModelSpec placeholder_spec() {
  ModelSpec spec;
  spec.image_token_id = 9;
  return spec;
}

ErrorCode code_of(const ModelSpec& spec, const Ids& ids, const std::vector<EncodedImage>& images) {
  try {
    compose(spec, ids, images);
  } catch (const ItemError& e) {
    return e.code();
  }
  return ErrorCode::internal;
}

TEST(Compose, PlaceholdersBecomeTheirImagesRows) {
  const auto prompt =
      compose(placeholder_spec(), Ids{1, 9, 2, 9, 3}, std::vector{image(3, 11), image(2, 12)});
  EXPECT_THAT(prompt->ids, ElementsAre(1, 9, 9, 9, 2, 9, 9, 3));
  ASSERT_EQ(prompt->features.size(), 2u);
  EXPECT_EQ(prompt->features[0].begin, 1u);
  EXPECT_EQ(prompt->features[1].begin, 5u);
  EXPECT_EQ(prompt->features[1].key, 12u);
  EXPECT_TRUE(prompt->bidirectional.empty());
  EXPECT_EQ(feature_row(*prompt, 6), prompt->features[1].rows->row(1));
  EXPECT_EQ(feature_row(*prompt, 4), nullptr);
}

TEST(Compose, AllOfAPromptMaySeeItself) {
  ModelSpec spec = placeholder_spec();
  spec.visibility = PromptVisibility::prompt;
  const auto prompt = compose(spec, Ids{9, 9, 2, 5, 6}, std::vector{image(2, 1), image(1, 2)});
  ASSERT_EQ(prompt->bidirectional.size(), 1u);
  EXPECT_EQ(prompt->bidirectional[0], (PositionRange{0, 6}));
}

TEST(Compose, ImagesAndPlaceholdersMustMatch) {
  const ModelSpec spec = placeholder_spec();
  EXPECT_EQ(code_of(spec, {1, 9, 9}, {image(1, 1)}), ErrorCode::invalid_value);
  EXPECT_EQ(code_of(spec, {1, 2}, {image(1, 1)}), ErrorCode::invalid_value);
  EXPECT_EQ(code_of(spec, {1, 9}, {}), ErrorCode::invalid_value);
  EXPECT_EQ(code_of(spec, {}, {}), ErrorCode::prompt_empty);
  EXPECT_THAT(testing::message_of<ItemError>([&] {
                compose(spec, Ids{9, 9, 9}, std::vector{image(1, 1)});
              }),
              HasSubstr("3 image placeholders (<image>) for 1 image"));
  ModelSpec text_only;  // has no placeholder: any id is text
  EXPECT_THAT(compose(text_only, Ids{9, 9}, {})->ids, ElementsAre(9, 9));
  EXPECT_EQ(code_of(text_only, {1}, {image(1, 1)}), ErrorCode::invalid_value);
}

}  // namespace
}  // namespace mmbatch
