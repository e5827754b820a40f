// What a prompt holds where an image is: texts around it, marks between its rows.

#include "fusion/placing/image_place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fusion/model.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;

TEST(ImagePlace, WhatIsWrittenForAnImageBecomesItsTokenAndWhatStandsAroundIt) {
  const ImagePlace place{.written = "<start>", .before = "\n\n<start>", .after = "<end>\n\n"};
  EXPECT_EQ(write_image_places(place, "<image>", "a<start>b<start>"),
            "a\n\n<start><image><end>\n\nb\n\n<start><image><end>\n\n");
  EXPECT_EQ(write_image_places({}, "<image>", "a<image>b"), "a<image>b");
  const ImagePlace same{.written = "", .before = "<", .after = ">"};
  EXPECT_EQ(write_image_places(same, "<image>", "<image><image>"), "<<image>><<image>>");
}

class MarkedImageTest : public ::testing::Test {
 protected:
  ModelFiles files_{testing::kReference / "smolvlm" / "model"};
  const Tokenizer& tokenizer_ = *files_.tokenizer;

  std::int32_t id(const std::string& piece) const { return tokenizer_.token_id(piece).value(); }
  std::vector<std::int32_t> ids(const FeatureMap& map) const {
    const ModelSpec& spec = files_.spec;
    return image_ids(spec.place, {spec.image_token, spec.image_token_id}, map, tokenizer_);
  }
};

TEST_F(MarkedImageTest, TilesStandBetweenTheirMarksAndTheWholeComesLast) {
  const std::int32_t mark = id("<fake_token_around_image>"), image = files_.spec.image_token_id;
  const auto newline = tokenizer_.encode("\n", SpecialTokens::without);
  const auto two = tokenizer_.encode("\n\n", SpecialTokens::without);
  ASSERT_EQ(newline.size(), 1u);
  ASSERT_EQ(two.size(), 1u);
  EXPECT_THAT(ids({.rows = 6, .grid = {1, 2}, .tiles = {2, 1}}),
              ElementsAre(mark, id("<row_1_col_1>"), image, image, newline[0], mark, id("<row_2_col_1>"),
                          image, image, two[0], mark, id("<global-img>"), image, image, mark));
}

TEST_F(MarkedImageTest, AnImageThatIsNotCutHasOneMark) {
  const std::int32_t mark = id("<fake_token_around_image>"), image = files_.spec.image_token_id;
  EXPECT_THAT(ids({.rows = 2, .grid = {1, 2}}), ElementsAre(mark, id("<global-img>"), image, image, mark));
}

TEST_F(MarkedImageTest, RowsEndWithMarksOfTheirOwn) {
  ImagePlace place;
  place.marks = RowMarks{.after_row = "<global-img>", .after_last = "<end_of_utterance>"};
  const std::int32_t row = id("<global-img>"), last = id("<end_of_utterance>");
  EXPECT_THAT(image_ids(place, {"<image>", 7}, {.rows = 4, .grid = {2, 2}}, tokenizer_),
              ElementsAre(7, 7, row, 7, 7, last));
}

}  // namespace
}  // namespace mmbatch
