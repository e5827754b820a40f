#include "jobs/item/images/image_budget.h"

#include <gmock/gmock.h>

#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using testing::fault;
using ::testing::HasSubstr;
using testing::TempFolder;

TEST(ImageBudget, StrongerSourcesReplaceOneEndEach) {
  const ImageBudget weaker{.min_pixels = 100, .max_pixels = 1000};
  EXPECT_EQ(merged(weaker, {}), weaker);
  EXPECT_EQ(merged(weaker, {.max_tokens = 5}), (ImageBudget{.max_tokens = 5, .min_pixels = 100}));
  EXPECT_EQ(merged({.min_tokens = 3}, weaker), weaker);
  EXPECT_EQ(key_text(ImageBudget{}), "");
  EXPECT_EQ(key_text({.max_tokens = 5, .min_pixels = 100}), "max_tokens=5 min_pixels=100");
}

TEST(ImageBudget, ItemsJobsAndManifestsSetIt) {
  TempFolder folder;
  const Manifest manifest = read_manifest(folder.write("m.yaml", R"(
image_tokens: {min: 4, max: 64}
jobs:
  - name: a
    task: vqa
    max_pixels: 5000
    items:
      - {id: x, image: x.png, question: q}
      - {id: y, image: x.png, question: q, image_tokens: {max: 7}}
      - {id: z, image: x.png, question: q, image_tokens: {min: 9, max: 7}}
      - {id: u, image: x.png, question: q, min_pixels: 0}
      - {id: v, image: x.png, question: q, image_tokens: 7}
      - {id: w, image: x.png, question: q, image_tokens: {max: 7}, max_pixels: 9}
  - {name: b, task: vqa, items: [{id: x, image: x.png, question: q}]}
)"));
  EXPECT_EQ(manifest.jobs[0].image_budget, (ImageBudget{.min_tokens = 4, .max_pixels = 5000}));
  EXPECT_EQ(manifest.jobs[1].image_budget, (ImageBudget{.min_tokens = 4, .max_tokens = 64}));
  const auto items = testing::read_all(manifest);
  EXPECT_EQ(fault(items[1]), "");
  EXPECT_THAT(fault(items[2]), HasSubstr("the least, 9, is above the most, 7"));
  EXPECT_THAT(fault(items[3]), HasSubstr("'min_pixels' must be a whole number"));
  EXPECT_THAT(fault(items[4]), HasSubstr("'image_tokens' must be a map of min and max"));
  EXPECT_THAT(fault(items[5]), HasSubstr("one is allowed"));

  const SettingsOfJobs settings(manifest, {});
  EXPECT_EQ(settings.of(*items[0].item)->image_budget, manifest.jobs[0].image_budget);
  EXPECT_EQ(settings.of(*items[1].item)->image_budget, (ImageBudget{.min_tokens = 4, .max_tokens = 7}));
  const SettingsOfJobs stronger(manifest,
                                {.checkpoint = {}, .command_line = {}, .image_budget = {.max_pixels = 1}});
  EXPECT_EQ(stronger.of(*items[1].item)->image_budget, (ImageBudget{.min_tokens = 4, .max_pixels = 1}));
}

TEST(ImageBudget, OutsideOfItemsAFaultEndsTheRun) {
  TempFolder folder;
  const auto file = folder.write("m.yaml", "max_pixels: many\njobs:\n  - {name: b, task: vqa, items: []}\n");
  EXPECT_THAT(testing::error_of<UsageError>([&] { read_manifest(file); }),
              HasSubstr("m.yaml:1:1: key 'max_pixels' must be a whole number"));
}

TEST(ImageBudget, ComesFromColumnsToo) {
  TempFolder folder;
  folder.write("q.csv", "image,question,max_pixels\nx.png,q,500\nx.png,q,\nx.png,q,few\n");
  const auto items = testing::read_all(
      read_manifest(folder.write("m.yaml", "jobs:\n  - {name: b, task: vqa, items: q.csv}\n")));
  EXPECT_EQ(items[0].item->image_budget.max_pixels, 500);
  EXPECT_TRUE(items[1].item->image_budget.empty());
  EXPECT_THAT(fault(items[2]), HasSubstr("max_pixels"));
}

}  // namespace
}  // namespace mmbatch
