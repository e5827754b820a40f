#include "text/regions/regions.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mmbatch {
namespace {

using ::testing::DoubleNear;

constexpr PictureFrame kPicture{.width = 200, .height = 100, .seen_width = 400, .seen_height = 200};

/// "kind label x y x y …"
std::string shown(const Region& region) {
  std::string out(to_string(region.kind));
  out += " " + region.label;
  for (const Region::Point& point : region.points) out += fmt::format(" {:.1f} {:.1f}", point.x, point.y);
  return out;
}

std::vector<std::string> found(RegionFormat format, std::string_view answer,
                               ManyNumbers many = ManyNumbers::boxes) {
  std::vector<std::string> all;
  for (const Region& region : find_regions(format, answer, kPicture, many)) all.push_back(shown(region));
  return all;
}

using Found = std::vector<std::string>;

TEST(Regions, JsonInPixelsOfTheResizedPictureAndInThousandths) {
  const std::string answer =
      "```json\n[\n\t{\"bbox_2d\": [40, 20, 80, 60], \"label\": \"a \\\"cat\\\" {\"},\n"
      "\t{\"point_2d\": [400, 200], \"label\": \"corner\"}\n]\n```";
  EXPECT_EQ(found(RegionFormat::json_of_seen_pixels, answer),
            (Found{"box a \"cat\" { 20.0 10.0 40.0 30.0", "point corner 200.0 100.0"}));
  EXPECT_EQ(found(RegionFormat::json_of_thousandths, R"({"bbox_2d": [100, 100, 500, 2000], "label": "x"})"),
            (Found{"box x 20.0 10.0 100.0 100.0"}));  // within the picture
}

TEST(Regions, WhatIsWholeOfACutListIsRead) {
  EXPECT_EQ(found(RegionFormat::json_of_thousandths,
                  R"([{"bbox_2d": [0, 0, 500, 500], "label": "a"}, {"bbox_2d": [1, 2)"),
            (Found{"box a 0.0 0.0 100.0 50.0"}));
  EXPECT_TRUE(found(RegionFormat::json_of_thousandths, "no {boxes} here [1, 2").empty());
  EXPECT_TRUE(found(RegionFormat::json_of_thousandths, R"({"bbox_2d": ["a", 1, 2]})").empty());
}

TEST(Regions, ManyBracketsAreReadOnce) {
  constexpr std::size_t kMany = 1'000'000;
  const std::string region = R"({"bbox_2d": [0, 0, 500, 500], "label": "a"})";
  const Found box{"box a 0.0 0.0 100.0 50.0"};
  EXPECT_EQ(found(RegionFormat::json_of_thousandths, std::string(kMany, '{') + region), box);
  EXPECT_EQ(found(RegionFormat::json_of_thousandths, "{ \"" + region), box) << "behind an open quote";
  EXPECT_EQ(found(RegionFormat::json_of_thousandths, "{ \"\\\"}\" {\"a\": \"}\"} " + region), box);
  std::string nested;  // each of them is closed, and none is JSON
  for (std::size_t i = 0; i < kMany / 25; ++i) nested += "{\"a\":";
  EXPECT_TRUE(found(RegionFormat::json_of_thousandths, nested + "x" + std::string(kMany / 25, '}')).empty());
  EXPECT_EQ(found(RegionFormat::location_tokens_of_1000,
                  std::string(kMany, '<') + "<loc_0><loc_0><loc_499><loc_999>")
                .size(),
            1u);
}

TEST(Regions, LocationTokensBehindLabels) {
  EXPECT_EQ(
      found(
          RegionFormat::location_tokens_of_1000,
          "car<loc_0><loc_0><loc_499><loc_999><loc_500><loc_0><loc_999><loc_499>wheel<loc_10><loc_20><loc_30>"
          "<loc_40>"),
      (Found{"box car 0.1 0.1 99.9 100.0", "box car 100.1 0.1 199.9 50.0", "box wheel 2.1 2.1 6.1 4.0"}));
  EXPECT_EQ(found(RegionFormat::location_tokens_of_1000,
                  "EXIT<loc_0><loc_0><loc_100><loc_0><loc_100><loc_50><loc_0><loc_50>", ManyNumbers::corners),
            (Found{"polygon EXIT 0.1 0.1 20.1 0.1 20.1 5.1 0.1 5.1"}));
  EXPECT_TRUE(found(RegionFormat::location_tokens_of_1000, "<loc_1><loc_><loc_9999999999").empty());
}

TEST(Regions, LocationTokensBeforeLabelsHaveRowsFirst) {
  EXPECT_EQ(found(RegionFormat::location_tokens_of_1024,
                  "<loc0256><loc0512><loc0512><loc1024> cat ; <loc0000><loc0000><loc1024><loc1024> dog"),
            (Found{"box cat 100.0 25.0 200.0 50.0", "box dog 0.0 0.0 200.0 100.0"}));
}

TEST(Regions, PairsAndMarks) {
  EXPECT_EQ(found(RegionFormat::pairs_of_thousandths, "the cat(100,200),(500,600) and (1, 2"),
            (Found{"box the cat 20.0 20.0 100.0 60.0"}));
  EXPECT_EQ(found(RegionFormat::marked_thousandths,
                  "The cat <|begin_of_box|>[[100,200,500,600],[0,0,1000,1000]]<|end_of_box|>."),
            (Found{"box The cat 20.0 20.0 100.0 60.0", "box The cat 0.0 0.0 200.0 100.0"}));
}

TEST(Regions, AsJsonWithTheirPicture) {
  EXPECT_EQ(regions_json({}, kPicture), "");
  EXPECT_EQ(
      regions_json({{RegionKind::polygon, "a", {{3, 4}, {1, 9}, {5, 6}}}}, kPicture),
      R"([{"height":100,"kind":"polygon","label":"a","points":[[3.0,4.0],[1.0,9.0],[5.0,6.0]],"width":200,)"
      R"("x1":1.0,"x2":5.0,"y1":4.0,"y2":9.0}])");
}

}  // namespace
}  // namespace mmbatch
