// Stages, engine and store by plain threads: for ThreadSanitizer (tests/run.sh --long), which does not
// understand the flow graph's. Without it these are ordinary tests.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <sstream>

#include "engine/base/threads.h"
#include "fusion/model.h"
#include "jobs/batch/batch_output.h"
#include "jobs/listing/item_reader.h"
#include "jobs/query/query.h"
#include "pipeline/run/stage_set.h"
#include "pipeline/watch/progress.h"
#include "tests/jobs/helpers.h"
#include "tests/threads/by_threads.h"

namespace mmbatch {
namespace {

using testing::on_threads;
using testing::run_by_threads;
using testing::TempFolder;

constexpr int kThreads = 6;

std::vector<std::string> demo_images() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(MMBATCH_DEMO "/images")) {
    if (entry.path().extension() == ".png") files.push_back(entry.path().string());
  }
  return files;
}

/// Answered, failing, equal and several-image items.
std::filesystem::path write_manifest(const TempFolder& folder, int items) {
  const auto images = demo_images();
  std::string lines;
  for (int i = 0; i < items; ++i) {
    const std::string image =
        i % 13 == 5 ? "nowhere.png" : images[static_cast<std::size_t>(i / 3) % images.size()];
    lines += "{\"image\": \"" + image + "\", \"question\": \"is there a red shape? " + std::to_string(i % 7) +
             "\"}\n";
    if (i % 11 == 4) lines += "no item\n";
  }
  folder.write("items.jsonl", lines);
  return folder.write(
      "m.yaml", "jobs: [{name: shapes, task: vqa, items: items.jsonl}]\ngeneration: {max_new_tokens: 4}\n");
}

class Stages : public ::testing::Test {
 protected:
  void SetUp() override {
    arena_.run([&] {
      model_ = std::make_shared<const Model>(std::make_shared<const ModelFiles>(MMBATCH_DEMO "/model"));
    });
  }

  /// @return items that were stored
  std::uint64_t run(const Manifest& manifest, ResultsStore& results, std::chrono::milliseconds timeout,
                    const std::function<void()>& tick) {
    RunOptions options;
    options.images.cache_bytes = 100'000;  // so small that images are forgotten and encoded again
    options.images.batch = 3;
    options.engine.kv_blocks = 40;
    options.item_timeout = timeout;
    Timeline timeline;
    const ModelIdentity identity{"f00d", "f32"};
    StageSet stages({.manifest = manifest,
                     .options = options,
                     .model = *model_,
                     .identity = identity,
                     .results = results,
                     .timeline = timeline,
                     .arena = arena_,
                     .now = {}});
    const Progress progress(stages.counters(), std::nullopt, ProgressStyle::none, [&] {
      results.flush_if_due();
      static_cast<void>(stages.summary());
      tick();
    });
    run_by_threads(stages.flow(), kThreads);
    return stages.counters().done;
  }

  Arena arena_{1};  // TBB stays out of it
  std::shared_ptr<const Model> model_;
  TempFolder folder_;
};

TEST_F(Stages, RunSideBySide) {
  const Manifest manifest = read_manifest(write_manifest(folder_, 90));
  const auto database = folder_ / "r.db";
  for (int round = 0; round < 2; ++round) {  // the second finds all answered
    ResultsStore::Options options;
    options.batch_items = 7;
    options.batch_time = std::chrono::milliseconds(20);
    const auto results = ResultsStore::open_or_create(database, options);
    RunInfo info = testing::make_run();
    const std::int64_t run_key = results->begin_run(info, ResumePolicy::resume);
    BatchOutput output(folder_ / "out.jsonl", {database, run_key, ResumePolicy::resume});
    EXPECT_EQ(run(manifest, *results, {}, [&] { output.append(); }), 98u);
    results->flush();
    output.append();
    results->finish_run(RunStatus::finished, "{}");
  }
  std::ostringstream out;
  EXPECT_EQ(query(database, {}, out), 98u);
}

TEST_F(Stages, TimeOutsHappenAnywhere) {
  const Manifest manifest = read_manifest(write_manifest(folder_, 60));
  const auto results = ResultsStore::open_or_create(folder_ / "r.db");
  results->begin_run(testing::make_run(), ResumePolicy::resume);
  EXPECT_EQ(run(manifest, *results, std::chrono::milliseconds(9), [] {}), 66u);
}

TEST(StoreThreads, WriteReadAndAreQueried) {
  TempFolder folder;
  const auto file = folder / "r.db";
  ResultsStore::Options options;
  options.batch_items = 25;
  const auto store = ResultsStore::open_or_create(file, options);
  store->begin_run(testing::make_run(), ResumePolicy::resume);
  on_threads(kThreads, [&](int thread) {
    for (int i = 0; i < 80; ++i) {
      const int number = thread * 60 + i;  // neighbours share a few
      const Item item = testing::make_item(std::to_string(number));
      const std::string key = testing::key_of(static_cast<std::uint64_t>(number));
      const FileStamp stamp{std::to_string(i % 9), 1, 2, 3, 4};
      if (!store->find_digest(stamp)) store->remember_digest(stamp, "d");
      if (store->look_up(testing::share(item), key, {std::string(64, 'a')}) == Known::no)
        store->put(testing::make_answer(item, key, "x"));
      if (i % 20 == 0) store->flush();
      if (thread == 0 && i % 30 == 10) {
        std::ostringstream out;
        query(file, {}, out);
      }
    }
  });
  store->flush();
  std::ostringstream out;
  EXPECT_EQ(query(file, {}, out), 60u * (kThreads - 1) + 80u);
}

}  // namespace
}  // namespace mmbatch
