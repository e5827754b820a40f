#include "pipeline/watch/timeline.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <thread>

#include "engine/base/error.h"
#include "engine/base/output/output_error.h"
#include "pipeline/watch/at_stage.h"
#include "pipeline/watch/core_load.h"
#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

using nlohmann::json;

json read_json(const std::string& file) {
  std::ifstream in(file);
  return json::parse(in);
}

TEST(Timeline, WritesSpansCountersAndItemsOfAllThreadsAsOneTrace) {
  const Workplace place;
  constexpr int kThreads = 4, kSpans = 5000;  // more than the buffer holds
  {
    Timeline timeline(place.path("trace.json"));
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < kSpans; ++i) {
          at_stage(timeline, Stage::fuse, "an \"item\"\n\xFF", [] {});
          timeline.count("curve", {{"a", 1.5}, {"b", 2}});
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    timeline.item_begins(7, "x");
    timeline.item_ends(7, "x");
    timeline.finish();
  }
  const json trace = read_json(place.path("trace.json"));
  std::map<std::string, int> phases;
  std::map<int, double> last;
  for (const json& event : trace) {
    ++phases[event.at("ph")];
    if (event.at("ph") != "X") continue;
    EXPECT_GE(event.at("dur").get<double>(), 0);
    EXPECT_EQ(event.at("args").at("item"), "an \"item\"\n\xEF\xBF\xBD");
    double& end = last[event.at("tid")];
    EXPECT_GE(event.at("ts").get<double>() + 0.2, end) << "spans of a thread overlap";
    end = event.at("ts").get<double>() + event.at("dur").get<double>();
  }
  EXPECT_EQ(last.size(), static_cast<std::size_t>(kThreads));
  EXPECT_EQ(phases["X"], kThreads * kSpans);
  EXPECT_EQ(phases["C"], kThreads * kSpans + 2);  // and one item in flight, and none again
  EXPECT_EQ(phases["b"], 1);
  EXPECT_EQ(phases["e"], 1);
}

TEST(Timeline, WithoutATraceOnlySecondsAreKept) {
  Timeline timeline;
  timeline.add(Stage::store, Timeline::Clock::now() - std::chrono::seconds(2));
  timeline.add(Stage::store, Timeline::Clock::now() - std::chrono::seconds(1));
  EXPECT_GE(timeline.seconds(Stage::store), 3);
  EXPECT_EQ(timeline.seconds(Stage::read), 0);
}

TEST(AtStage, TimesCountsAndTurnsWhatIsThrownIntoAnError) {
  Timeline timeline;
  EXPECT_EQ(at_stage(timeline, Stage::fuse, "x", [] { return 7; }).value(), 7);
  const auto item = at_stage(timeline, Stage::fuse, "x",
                             []() -> int { throw ItemError(ErrorCode::unsupported, "not that"); });
  ASSERT_FALSE(item);
  EXPECT_EQ(item.error().code, ErrorCode::unsupported);
  EXPECT_EQ(item.error().message, "not that");
  const auto memory = at_stage(timeline, Stage::preprocess, "x", []() -> int { throw std::bad_alloc(); });
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().message, "out of memory while preprocessing images");
  EXPECT_THROW(at_stage(timeline, Stage::store, "x", [] { throw UsageError("ends the run"); }), UsageError);
  EXPECT_THROW(or_end_run(at_stage(timeline, Stage::read, "", []() -> int { throw std::bad_alloc(); })),
               FatalError);
  EXPECT_EQ(timeline.calls(Stage::fuse), 2u);
  EXPECT_EQ(timeline.faults(Stage::fuse), 1u);
  EXPECT_EQ(timeline.faults(Stage::preprocess), 1u);
  EXPECT_EQ(timeline.calls(Stage::decode), 0u);
}

TEST(AtStage, TheHookSeesEveryCallBeginAndEnd) {
  std::vector<std::string> seen;
  Timeline timeline({}, [&](Stage stage, StageMoment moment) {
    seen.push_back(std::string(row_of(stage).key) + (moment == StageMoment::begins ? " begins" : " ended"));
  });
  at_stage(timeline, Stage::encode_image, "", [] {});
  EXPECT_EQ(seen, (std::vector<std::string>{"encode begins", "encode ended"}));
}

TEST(StageTable, NamesAreThoseThatUsersKnow) {
  std::vector<std::string> keys;
  for (const StageRow& row : kStages) keys.emplace_back(row.key);
  EXPECT_EQ(keys, (std::vector<std::string>{"read", "admit", "preprocess", "encode", "text", "text_encode",
                                            "fuse", "decode", "store", "commit", "output"}));
  EXPECT_EQ(error_stage(Stage::admit), "read");
  EXPECT_EQ(error_stage(Stage::preprocess), "image");
  EXPECT_EQ(error_stage(Stage::encode_image), "image");
  EXPECT_EQ(error_stage(Stage::encode_text), "text");
  EXPECT_EQ(error_stage(Stage::embed_text), "text");
}

TEST(Timeline, AFileThatCannotBeWrittenIsSaidAtOnce) {
  EXPECT_THROW(Timeline("/nowhere/trace.json"), OutputError);
  Timeline full("/dev/full");
  EXPECT_THROW(full.finish(), FatalError);
}

TEST(CoreLoad, CountsTheTimeOfThreadsOnCores) {
  const ThreadTimes begin = ThreadTimes::now();
  double burnt = 0;
  while (burnt < 0.2) burnt = ThreadTimes::now().all - begin.all;
  const CoreLoad load = core_load(begin, 0.4, 2);
  EXPECT_GE(load.cpu_seconds, 0.2);
  EXPECT_GE(load.busy, 0.25);
  ASSERT_FALSE(load.threads.empty());
  EXPECT_GT(load.threads.front(), 0.2);
}

TEST(Profile, ARunsTraceShowsEveryStageItemAndStep) {
  const Workplace place;
  const ProgramEnd outcome =
      program("run -q " + Workplace::demo("manifest.yaml") + " --database " + place.path("r.db") +
              " --profile " + place.path("trace.json") + " --summary-json " + place.path("summary.json"));
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  std::map<std::string, int> spans, others;
  for (const json& event : read_json(place.path("trace.json"))) {
    if (event.at("ph") == "X")
      ++spans[event.at("name")];
    else if (event.at("ph") == "b" || event.at("ph") == "e")
      ++others[event.at("ph")];
    else
      ++others[event.at("name")];
    EXPECT_EQ(event.at("name") == "decode", event.contains("args") && event["args"].contains("sequences"));
  }
  const json summary = read_json(place.path("summary.json"));
  const int items = summary.at("items");
  for (const char* each : {"admit", "encode text", "fuse", "store"}) EXPECT_EQ(spans[each], items) << each;
  EXPECT_EQ(spans["preprocess image"], summary.at("images_encoded"));
  EXPECT_GE(spans["decode"], summary.at("steps").get<int>());
  EXPECT_GE(spans["encode images"], 1);
  EXPECT_GE(spans["commit"], 1);
  EXPECT_EQ(others["b"], items);
  EXPECT_EQ(others["e"], items);
  EXPECT_EQ(others["items in flight"], 2 * items);
  EXPECT_GE(others["requests"], 1);
  EXPECT_GE(others["cache blocks"], 1);
  EXPECT_EQ(others["thread_name"], 1);

  EXPECT_GT(summary.at("decode_seconds").get<double>(), 0);
  EXPECT_GT(summary.at("decode_busy").get<double>(), 0);
  EXPECT_GT(summary.at("cores_busy").get<double>(), 0);
  EXPECT_TRUE(summary.at("thread_busy").is_array());
  EXPECT_TRUE(summary.at("bottleneck").is_null() || !summary.at("bottleneck").get<std::string>().empty());

  EXPECT_EQ(program("run -q " + Workplace::demo("manifest.yaml") + " --database " + place.path("r.db") +
                    " --profile /nowhere/trace.json")
                .code,
            3);
}

}  // namespace
}  // namespace mmbatch
