// What is counted before a picture is prepared is no less than what preparing it makes.

#include <gtest/gtest.h>

#include <algorithm>

#include "fusion/model.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

class Preparing : public ::testing::TestWithParam<const char*> {};

TEST_P(Preparing, CountsPixelsAndPatches) {
  const ModelFiles files(testing::kReference / GetParam() / "model");
  for (const auto& [width, height] : {std::pair{20, 20}, {97, 31}, {300, 400}, {900, 120}}) {
    const PixelValues made = files.images->prepare(Image(width, height));
    std::size_t bytes = 0, patches = 0;
    for (const Patches& tile : made.tiles) {
      bytes += tile.values.bytes();
      patches += tile.grid.count();
    }
    const PreparationMemory memory = files.images->memory(width, height);
    EXPECT_EQ(memory.patches, patches) << width << " x " << height;
    // Floats by row and by patch, and the resized picture.
    EXPECT_GE(memory.preparing, 2 * bytes + bytes / sizeof(float)) << width << " x " << height;
    EXPECT_LE(memory.preparing, 4 * bytes) << width << " x " << height;
    EXPECT_GT(memory.encoding, patches * sizeof(float));
  }
}

INSTANTIATE_TEST_SUITE_P(Folders, Preparing,
                         ::testing::Values("llava-gqa", "llava-next", "qwen3-vl", "qwen2-5-vl", "lfm2-vl",
                                           "gemma4", "smolvlm", "internvl", "mistral3", "deepseek-ocr2",
                                           "siglip"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Preparing, CountsAllFramesOfAVideosGroup) {
  const ModelFiles files(testing::kReference / "qwen3-5" / "model");
  const std::vector<Image> frames(files.spec.video->frames, Image(120, 90));
  const PixelValues made = files.videos().prepare(frames, 8, {});
  const PreparationMemory memory = files.videos().memory({.width = 120, .height = 90, .shown = 8}, {});
  EXPECT_EQ(memory.patches, made.tiles.front().grid.count());
  EXPECT_GE(memory.preparing, 2 * made.tiles.front().values.bytes());
}

}  // namespace
}  // namespace mmbatch
