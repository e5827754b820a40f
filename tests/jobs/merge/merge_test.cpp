#include "jobs/merge/merge.h"

#include <gmock/gmock.h>

#include <set>
#include <sstream>

#include "jobs/listing/shard.h"
#include "jobs/query/query.h"
#include "jobs/results/database.h"
#include "jobs/results/database_error.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::key_of;
using testing::make_answer;
using testing::make_failure;
using testing::make_item;
using testing::make_run;
using testing::TempFolder;

/// One run of results.
std::filesystem::path store(const std::filesystem::path& file, const std::vector<ItemResult>& results,
                            const RunInfo& info = make_run()) {
  const auto store = ResultsStore::open_or_create(file);
  store->begin_run(info, ResumePolicy::resume);
  for (const ItemResult& result : results) store->put(result);
  store->finish_run(RunStatus::finished, R"({"answered": 1, "seconds": 2.5, "peak_rss_bytes": 7})");
  return file;
}

ItemResult answer(const std::string& id, const std::string& text, const std::string& prompt = "what is it?") {
  return make_answer(make_item(id, prompt), key_of(std::hash<std::string>()(id + prompt) % 1000), text);
}

std::vector<std::string> rows(const std::filesystem::path& file, const std::string& sql) {
  QueryOptions options;
  options.style.format = OutputFormat::csv;
  options.sql = sql;
  std::ostringstream out;
  query(file, options, out);
  std::istringstream text(out.str());
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  lines.erase(lines.begin());
  return lines;
}

constexpr const char* kAnswers = "SELECT run, job, id, status, answer FROM answers ORDER BY id, sequence";

TEST(Merge, ProbabilitiesAndEmbeddingsComeAlong) {
  const TempFolder folder;
  ItemResult classified = answer("a", "blue"), embedded = answer("b", "");
  classified.answers[0].probabilities = R"({"blue": 0.5})";
  embedded.answers[0].embedding = {1.0f};
  const auto a = store(folder / "a.db", {answer("c", "red"), classified});
  const auto b = store(folder / "b.db", {embedded});
  merge_databases(folder / "all.db", {a, b});
  EXPECT_THAT(rows(folder / "all.db", "SELECT id, probabilities FROM answers ORDER BY id"),
              ElementsAre("a,\"{\"\"blue\"\": 0.5}\"", "b,", "c,"));
  EXPECT_THAT(rows(folder / "all.db", "SELECT id, width, hex(vector) FROM vectors"),
              ElementsAre("b,1,0000803F"));
}

TEST(Merge, ShardsOfARunBecomeOneRun) {
  const TempFolder folder;
  ItemResult two = answer("b", "one of two");
  two.answers.push_back({"two of two", "length", -1.0, 3, ""});
  const auto a = store(folder / "a.db", {answer("a", "blue"), two});
  const auto b =
      store(folder / "b.db",
            {answer("c", "red"), make_failure(make_item("d"), key_of(4), "text", ErrorCode::prompt_empty)});
  const MergeReport report = merge_databases(folder / "all.db", {a, b});
  EXPECT_EQ(report.added, 4u);
  EXPECT_EQ(report.conflicts, 0u);
  EXPECT_THAT(rows(folder / "all.db", kAnswers),
              ElementsAre("1,shapes,a,answered,blue", "1,shapes,b,answered,one of two",
                          "1,shapes,b,answered,two of two", "1,shapes,c,answered,red", "1,shapes,d,failed,"));
  EXPECT_THAT(rows(folder / "all.db",
                   "SELECT status, json_extract(stats, '$.answered'), json_extract(stats, "
                   "'$.seconds') FROM runs"),
              ElementsAre("finished,2,2.5"));
  // What is merged is found and resumed like what was run.
  EXPECT_THAT(rows(folder / "all.db", "SELECT count(*) FROM texts WHERE texts MATCH 'two of'"),
              ElementsAre("2"));
  const auto merged = ResultsStore::open_or_create(folder / "all.db");
  merged->begin_run(make_run(), ResumePolicy::resume);
  EXPECT_EQ(merged->look_up(two.item, two.content_key, two.image_sha256), Known::answered);
}

TEST(Merge, AgainAddsNothing) {
  const TempFolder folder;
  const auto a = store(folder / "a.db", {answer("a", "blue"), answer("b", "red")});
  merge_databases(folder / "all.db", {a});
  const auto before = rows(folder / "all.db", "SELECT * FROM history");
  const MergeReport report = merge_databases(folder / "all.db", {a, a});
  EXPECT_EQ(report.added, 0u);
  EXPECT_EQ(report.known, 4u);
  EXPECT_EQ(rows(folder / "all.db", "SELECT * FROM history"), before);
}

TEST(Merge, AnAnswerTakesThePlaceOfAFailure) {
  const TempFolder folder;
  const ItemResult good = answer("a", "blue");
  const auto failed =
      store(folder / "a.db", {make_failure(*good.item, good.content_key, "decode", ErrorCode::timeout)});
  const auto answered = store(folder / "b.db", {good});
  EXPECT_EQ(merge_databases(folder / "1.db", {failed, answered}).conflicts, 0u);
  EXPECT_EQ(merge_databases(folder / "2.db", {answered, failed}).conflicts, 0u);
  EXPECT_THAT(rows(folder / "1.db", kAnswers), ElementsAre("1,shapes,a,answered,blue"));
  EXPECT_EQ(rows(folder / "2.db", kAnswers), rows(folder / "1.db", kAnswers));
}

TEST(Merge, ContradictionsAreReported) {
  const TempFolder folder;
  const auto a = store(folder / "a.db", {answer("a", "blue"), answer("b", "red")});
  const auto b = store(folder / "b.db", {answer("a", "green"), answer("b", "red", "another question?")});
  const MergeReport report = merge_databases(folder / "all.db", {a, b});
  EXPECT_EQ(report.conflicts, 2u);
  EXPECT_THAT(to_text(report), HasSubstr("item a: has another answer"));
  EXPECT_THAT(to_text(report), HasSubstr("item b: has another content"));
  EXPECT_THAT(rows(folder / "all.db", "SELECT id, answer FROM answers ORDER BY id"),
              ElementsAre("a,blue", "b,red"));
  EXPECT_THAT(rows(folder / "all.db", "SELECT prompt FROM answers WHERE id = 'b'"),
              ElementsAre("another question?"));
}

TEST(Merge, RunsOfOtherSettingsStayApart) {
  const TempFolder folder;
  const auto a = store(folder / "a.db", {answer("a", "blue")});
  ItemResult other = answer("a", "green");
  other.content_key = key_of(77);
  const auto b = store(folder / "b.db", {other}, make_run(R"({"top_k":1})"));
  EXPECT_EQ(merge_databases(folder / "all.db", {a, b}).conflicts, 0u);
  EXPECT_THAT(rows(folder / "all.db", "SELECT run, answer FROM history ORDER BY run"),
              ElementsAre("1,blue", "2,green"));
  EXPECT_THAT(rows(folder / "all.db", "SELECT run, answer FROM answers"), ElementsAre("2,green"));
}

// The database is the user's, too; a name with a quote stays a name.
TEST(Merge, ColumnsOfTheUsersOwnStayBehind) {
  const TempFolder folder;
  const auto a = store(folder / "a.db", {answer("a", "red")});
  const auto b = store(folder / "b.db", {answer("b", "blue")});
  Database(b, Database::Mode::create)
      .run("ALTER TABLE results ADD COLUMN note TEXT; ALTER TABLE items ADD COLUMN \"a\"\"b\" TEXT");
  for (const auto& file : {a, b})
    Database(file, Database::Mode::create).run("ALTER TABLE results ADD COLUMN size AS (length(answer))");
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(merge_databases(folder / "all.db", {a, b}).added, 2u);
  EXPECT_THAT(rows(folder / "all.db", "SELECT id, answer FROM answers ORDER BY id"),
              ElementsAre("a,red", "b,blue"));
  Database(a, Database::Mode::create).run("ALTER TABLE items ADD COLUMN \"a\"\"b\" TEXT DEFAULT 'kept'");
  EXPECT_EQ(merge_databases(a, {b}).added, 1u);
  EXPECT_THAT(::testing::internal::GetCapturedStdout(), HasSubstr("the column note of results"));
}

TEST(Merge, WhatDoesNotBelongTogetherIsRefused) {
  const TempFolder folder;
  const auto a = store(folder / "a.db", {answer("a", "blue")});
  RunInfo texts = make_run();
  texts.jobs[0].task = Task::generate;
  const auto b = store(folder / "b.db", {answer("a", "blue")}, texts);
  EXPECT_THAT(error_of<UsageError>([&] {
                merge_databases(folder / "all.db", {a, b});
              }),
              HasSubstr("task generate"));
  EXPECT_THAT(error_of<UsageError>([&] { merge_databases(a, {a}); }), HasSubstr("itself"));
  EXPECT_THAT(error_of<DatabaseError>([&] { merge_databases(a, {folder / "no.db"}); }),
              HasSubstr("no such file"));
  EXPECT_FALSE(std::filesystem::exists(folder / "all.db.lock"));
}

TEST(Shard, EveryItemIsInOnePartWhateverTheOrder) {
  std::vector<std::size_t> sizes(4, 0);
  for (int i = 0; i < 400; ++i) {
    ReadItem read{testing::share(make_item("x" + std::to_string(i), "question " + std::to_string(i))), {}};
    int parts = 0;
    for (std::uint64_t part = 0; part < 4; ++part) {
      const Shard shard{part, 4, Shard::By::item};
      ReadItem elsewhere = read;
      Item moved = *read.item;
      moved.position = 17;
      moved.where = "other.jsonl:3";
      elsewhere.item = testing::share(moved);
      EXPECT_EQ(shard.contains(read), shard.contains(elsewhere));
      if (!shard.contains(read)) continue;
      ++parts;
      ++sizes[part];
    }
    EXPECT_EQ(parts, 1);
  }
  for (const std::size_t size : sizes) EXPECT_GT(size, 70u);
}

TEST(Shard, ByImageKeepsTheQuestionsAboutAnImageTogether) {
  for (const std::string image : {"a.png", "b.png", "c.png"}) {
    std::set<std::uint64_t> parts;
    for (int i = 0; i < 20; ++i) {
      Item item = make_item("x", "question " + std::to_string(i));
      item.images[0].written = image;
      for (std::uint64_t part = 0; part < 5; ++part) {
        if (Shard{part, 5, Shard::By::image}.contains({testing::share(item), {}})) parts.insert(part);
      }
    }
    EXPECT_EQ(parts.size(), 1u);
  }
}

TEST(Shard, WithoutAWordItemsStayWithTheirFirstImage) {
  const auto part_of = [](const Item& item, Shard::By by) {
    for (std::uint64_t part = 0; part < 1000; ++part) {
      if (Shard{part, 1000, by}.contains({testing::share(item), {}})) return part;
    }
    return std::uint64_t{1000};
  };
  EXPECT_EQ(parse_shard("0/2").by, Shard::By::automatic);
  Item one = make_item("x", "what?"), two = make_item("y", "where?"), text = make_item("z", "Once");
  two.images.push_back({"second.png", "/images/second.png", "", ""});
  text.images.clear();
  Item other_text = text;
  other_text.prompt = "Twice";
  const auto automatic = Shard::By::automatic;
  EXPECT_EQ(part_of(one, automatic), part_of(two, automatic));
  EXPECT_EQ(part_of(one, automatic), part_of(one, Shard::By::image));
  EXPECT_NE(part_of(one, Shard::By::item), part_of(two, Shard::By::item));
  EXPECT_EQ(part_of(text, automatic), part_of(text, Shard::By::item));
  EXPECT_NE(part_of(text, automatic), part_of(other_text, automatic));
}

TEST(Shard, IsWrittenAsANumberOfMany) {
  EXPECT_EQ(parse_shard("3/8").index, 3u);
  EXPECT_EQ(parse_shard("3/8").count, 8u);
  EXPECT_TRUE(parse_shard("0/1").is_all());
  for (const char* wrong : {"", "3", "8/8", "-1/8", "1/0", "1/8x", "a/b", "1/", "/2", "1 /2"}) {
    EXPECT_THAT(error_of<UsageError>([&] { parse_shard(wrong); }), HasSubstr("I/N")) << wrong;
  }
  EXPECT_EQ(parse_shard("3/8").named("/x/results.db"), "/x/results.3-of-8.db");
  EXPECT_EQ(parse_shard("0/1").named("/x/results.db"), "/x/results.db");
}

}  // namespace
}  // namespace mmbatch
