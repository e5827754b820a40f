#include "jobs/results/search/phrases.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <sstream>

#include "jobs/merge/merge.h"
#include "jobs/query/query.h"
#include "jobs/results/schema.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using testing::key_of;
using testing::make_answer;
using testing::make_item;
using testing::make_run;
using testing::rows;
using testing::TempFolder;

/// Longer than what is indexed; with a word in its beginning and one behind the part that is.
std::string long_prompt() {
  std::string text = "Beginning. ";
  while (text.size() < 2 * Phrases::kIndexedBytes) text += "so it goes on, ";
  return text + "the needle at the end";
}

/// Many items that share a prompt of a megabyte, and one with a short one.
std::filesystem::path store_many(const TempFolder& folder, int items = 50) {
  const auto file = folder / "r.db";
  const auto store = ResultsStore::open_or_create(file);
  store->begin_run(make_run(), ResumePolicy::resume);
  for (int i = 0; i < items; ++i) {
    Item item = make_item("i" + std::to_string(i), long_prompt(), static_cast<std::uint64_t>(i) + 1);
    store->put(make_answer(item, key_of(static_cast<std::uint64_t>(i)), "blue"));
  }
  store->put(make_answer(make_item("short", "what?", 99), key_of(99), "red"));
  store->finish_run(RunStatus::finished, "{}");
  return file;
}

std::string found(const std::filesystem::path& file, const std::string& text, const std::string& sort = "") {
  QueryOptions o;
  o.contains = text;
  o.columns = {"id"};
  o.limit = 3;
  o.sort = sort;
  o.style.format = OutputFormat::csv;
  std::ostringstream out;
  query(file, o, out);
  return out.str();
}

TEST(Phrases, ALongPromptOfManyItemsIsStoredOnce) {
  const TempFolder folder;
  const auto file = store_many(folder);
  EXPECT_THAT(rows(file, "SELECT count(*) FROM phrases"), ElementsAre("4"));  // two prompts, two answers
  EXPECT_THAT(rows(file, "SELECT max(length(prompt)) FROM items"), ElementsAre("5"));
  EXPECT_THAT(rows(file, "SELECT DISTINCT prompt FROM answers WHERE id <> 'short'"),
              ElementsAre(long_prompt()));
  EXPECT_LT(std::filesystem::file_size(file), 12 * long_prompt().size());
}

TEST(Phrases, WhatIsNotIndexedIsFoundToo) {
  const TempFolder folder;
  const auto file = store_many(folder);
  for (const char* sort : {"", "id", "prompt"}) {
    EXPECT_EQ(found(file, "beginning", sort),
              "id\ni0\ni1\n" + std::string(sort == std::string("id") ? "i10\n" : "i2\n"));
    EXPECT_EQ(found(file, "needle at", sort), found(file, "beginning", sort));
    EXPECT_EQ(found(file, "what", sort), "id\nshort\n");
    EXPECT_EQ(found(file, "haystack", sort), "id\n");
  }
}

TEST(Phrases, AResumeFindsALongPromptAgain) {
  const TempFolder folder;
  const auto file = store_many(folder);
  {
    const auto store = ResultsStore::open_or_create(file);
    store->begin_run(make_run(R"({"top_k":1})"), ResumePolicy::resume);
    Item item = make_item("new", long_prompt(), 1000);
    store->put(make_answer(item, key_of(1000), "green"));
  }
  EXPECT_THAT(rows(file, "SELECT count(*) FROM phrases WHERE length(text) > 1000"), ElementsAre("1"));
}

TEST(Phrases, MergeTakesLongPromptsAlong) {
  const TempFolder folder;
  const auto file = store_many(folder, 5);
  merge_databases(folder / "all.db", {file});
  EXPECT_THAT(rows(folder / "all.db", "SELECT max(length(prompt)) FROM items"), ElementsAre("5"));
  EXPECT_EQ(rows(folder / "all.db", "SELECT id, prompt FROM answers ORDER BY id"),
            rows(file, "SELECT id, prompt FROM answers ORDER BY id"));
  EXPECT_EQ(found(folder / "all.db", "needle at"), "id\ni0\ni1\ni2\n");
}

TEST(Phrases, ADatabaseOfAnEarlierVersionIsReadAsItIsAndResumed) {
  const TempFolder folder;
  const auto file = store_many(folder, 5);
  {
    Database before(file, Database::Mode::create);
    before.run(
        "UPDATE items SET prompt = (SELECT text FROM phrases WHERE key = prompt_phrase);"
        "DROP INDEX phrases_digest; DROP INDEX phrases_cut; ALTER TABLE phrases DROP COLUMN digest;"
        "ALTER TABLE phrases DROP COLUMN indexed; DROP TABLE schemas; ALTER TABLE jobs DROP COLUMN "
        "schema_key;"
        "DROP VIEW answers; DROP VIEW history; ALTER TABLE results DROP COLUMN reasoning;"
        "ALTER TABLE results DROP COLUMN reasoning_tokens; ALTER TABLE items DROP COLUMN request;"
        "ALTER TABLE items DROP COLUMN document; ALTER TABLE items DROP COLUMN page;"
        "ALTER TABLE items DROP COLUMN frame_times; ALTER TABLE jobs DROP COLUMN fields;"
        "DROP VIEW regions; ALTER TABLE results DROP COLUMN regions;"
        "ALTER TABLE results DROP COLUMN closed;"
        "CREATE VIEW history AS SELECT 1; CREATE VIEW answers AS SELECT 1;"
        "PRAGMA user_version = 4; PRAGMA journal_mode = DELETE");
  }
  ::chmod(file.c_str(), 0444);
  EXPECT_EQ(found(file, "beginning"), "id\ni0\ni1\ni2\n");
  EXPECT_EQ(found(file, "beginning", "reasoning"), "id\ni0\ni1\ni2\n");
  QueryOptions lines;
  lines.style.format = OutputFormat::openai;
  lines.limit = 1;
  std::ostringstream line;
  query(file, lines, line);
  EXPECT_THAT(line.str(), ::testing::HasSubstr(R"("content": "blue")"));
  EXPECT_THAT(line.str(), ::testing::Not(::testing::HasSubstr("reasoning")));
  merge_databases(folder / "all.db", {file});
  EXPECT_EQ(found(folder / "all.db", "needle at"), "id\ni0\ni1\ni2\n");
  EXPECT_THAT(rows(file, "PRAGMA user_version"), ElementsAre("4"));
  ::chmod(file.c_str(), 0644);
  {
    const auto store = ResultsStore::open_or_create(file);
    store->begin_run(make_run(), ResumePolicy::resume);
    Item item = make_item("i0", long_prompt(), 1);
    EXPECT_EQ(store->look_up(testing::share(item), key_of(0), {std::string(64, 'a')}), Known::answered);
  }
  EXPECT_THAT(rows(file, "PRAGMA user_version"), ElementsAre(std::to_string(schema_version())));
  EXPECT_EQ(found(file, "beginning"), "id\ni0\ni1\ni2\n");
}

}  // namespace
}  // namespace mmbatch
