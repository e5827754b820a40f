// Sizes of frames, against what the video processors of transformers 5.23 return.

#include "fusion/video/video_preparation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "fusion/model.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;

/// A video's frames, and the patches of each that they become.
struct Sized {
  int width, height;
  std::size_t frames, rows, columns;
};

void expect(const ModelFiles& files, std::initializer_list<Sized> videos) {
  for (const Sized& one : videos) {
    const std::vector<Image> group(files.spec.video->frames, Image(one.width, one.height));
    const PixelValues pixels = files.videos().prepare(group, one.frames, {});
    EXPECT_EQ(pixels.tiles.front().grid, (PatchGrid{one.rows, one.columns}))
        << one.width << " x " << one.height << ", " << one.frames << " frames";
    // Two by two patches are one row.
    EXPECT_EQ(files.videos().layout({one.width, one.height, one.frames}, {}).rows,
              one.rows * one.columns / 4);
  }
}

TEST(VideoPreparation, AllFramesShareABudget) {
  const testing::ModelFolder folder("qwen3-5");
  expect(ModelFiles(folder.path()), {{200, 150, 8, 24, 34},
                                     {640, 480, 5, 40, 54},
                                     {37, 61, 30, 10, 6},
                                     {300, 20, 2, 4, 50},
                                     {64, 64, 7, 10, 10}});
  folder.edit("video_preprocessor_config.json", [](auto& file) {
    file["cap_pixels_per_frame"] = true;
    file["max_video_tokens"] = 20;
  });
  expect(ModelFiles(folder.path()), {{200, 150, 8, 6, 10},
                                     {640, 480, 5, 6, 10},
                                     {37, 61, 30, 10, 6},
                                     {300, 20, 2, 2, 34},
                                     {64, 64, 7, 8, 8}});
}

TEST(VideoPreparation, EachFrameHasABudget) {
  const testing::ModelFolder folder("qwen2-5-vl");  // without a file for videos
  expect(ModelFiles(folder.path()), {{200, 150, 8, 8, 10},
                                     {640, 480, 5, 8, 10},
                                     {37, 61, 30, 8, 6},
                                     {300, 20, 2, 2, 42},
                                     {64, 64, 7, 8, 8}});
  std::ofstream(folder.path() / "video_preprocessor_config.json")
      << R"({"min_pixels": 784, "max_pixels": 4704, "patch_size": 7, "merge_size": 2, "cap_pixels_per_frame": true,
            "max_video_tokens": 60, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]})";
  expect(ModelFiles(folder.path()), {{200, 150, 8, 6, 8},
                                     {640, 480, 5, 8, 10},
                                     {37, 61, 30, 4, 2},
                                     {300, 20, 2, 2, 42},
                                     {64, 64, 7, 6, 6}});
}

TEST(VideoPreparation, ABrokenFileCostsVideosOnly) {
  const testing::ModelFolder folder("qwen3-5");
  folder.edit("video_preprocessor_config.json", [](auto& file) { file["patch_size"] = 5; });
  const ModelFiles files(folder.path());
  EXPECT_GT(files.images->tokens(60, 40), 0u);
  try {
    files.videos();
    FAIL();
  } catch (const ItemError& e) {
    EXPECT_THAT(e.what(), HasSubstr("patch_size"));
    EXPECT_THAT(e.what(), HasSubstr("video_input: frames"));
  }
}

TEST(VideoPreparation, FramesOfOneVideoHaveOneSize) {
  const ModelFiles files(testing::kReference / "qwen3-vl" / "model");
  const std::vector<Image> group = {Image(40, 30), Image(30, 40)};
  EXPECT_THROW(files.videos().prepare(group, 2, {}), ItemError);
}

}  // namespace
}  // namespace mmbatch
