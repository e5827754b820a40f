// Pictures in their own shape, up to a longest edge: the sizes that transformers 5.23 computes.

#include "vision/preprocess/budget/edge_preprocessor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

EdgePreprocessor preprocessor(const std::string& keys, const EdgeGeometry& tower) {
  return EdgePreprocessor(
      Config::parse("{\"do_normalize\": false, " + keys + "}", "preprocessor_config.json"), tower);
}

TEST(EdgePreprocessor, MakesPicturesSmallerAndThenWholeUnits) {
  const EdgePreprocessor found =
      preprocessor(R"("size": {"longest_edge": 84})", {.patch_size = 14, .merge = 2});
  EXPECT_EQ(found.grid(193, 97), (PatchGrid{4, 6}));
  EXPECT_EQ(found.grid(61, 170), (PatchGrid{6, 4}));
  EXPECT_EQ(found.grid(80, 80), (PatchGrid{6, 6}));
  EXPECT_EQ(found.grid(1, 1), (PatchGrid{2, 2}));
  EXPECT_EQ(found.grid(84, 28), (PatchGrid{2, 6}));
  EXPECT_EQ(found.most(), (PatchGrid{6, 6}));
  Image image(30, 20);
  const Patches patches = found.apply(image);
  EXPECT_EQ(patches.grid, (PatchGrid{2, 4}));
  EXPECT_EQ(patches.values.cols(), 3u * 14 * 14);
}

TEST(EdgePreprocessor, ALineOfPixelsIsAFailedItem) {
  const EdgePreprocessor found =
      preprocessor(R"("size": {"longest_edge": 84})", {.patch_size = 14, .merge = 2});
  EXPECT_THROW(found.grid(1000, 1), ItemError);
  EXPECT_THROW(found.grid(1, 1 << 20), ItemError);
}

TEST(EdgePreprocessor, SaysWhatItCannotDo) {
  const auto message = [](const std::string& keys) {
    return testing::message_of<ModelError>([&] { preprocessor(keys, {.patch_size = 14, .merge = 2}); });
  };
  EXPECT_THAT(message(R"("size": {"shortest_edge": 84})"), ::testing::HasSubstr("longest_edge"));
  EXPECT_THAT(message(R"("size": {"longest_edge": 84}, "patch_size": 16)"),
              ::testing::HasSubstr("patch_size"));
  EXPECT_THAT(message(R"("size": {"longest_edge": 84}, "patch_size": {"height": 14, "width": 16})"),
              ::testing::HasSubstr("patch_size"));
  EXPECT_THAT(message(R"("size": {"longest_edge": 84}, "do_resize": false)"),
              ::testing::HasSubstr("do_resize"));
}

}  // namespace
}  // namespace mmbatch
