#include "jobs/results/store.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <thread>

#include "jobs/results/database.h"
#include "tests/jobs/helpers.h"

#include "jobs/results/database_error.h"
#include "jobs/results/result_rows.h"
#include "jobs/results/schema.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using testing::key_of;
using testing::make_answer;
using testing::make_failure;
using testing::make_item;
using testing::make_run;
using testing::rows;
using testing::TempFolder;

const std::vector<std::string> kOneImage = {std::string(64, 'a')};

constexpr const char* kAnswers =
    "SELECT run, job, id, status, answer, error_code FROM answers ORDER BY id, sequence";

TEST(Store, AnswersAreSeenAsDocumented) {
  TempFolder folder;
  const auto file = folder / "r.db";
  {
    const auto store = ResultsStore::open_or_create(file);
    EXPECT_EQ(store->begin_run(make_run(), ResumePolicy::resume), 1);
    Item item = make_item("a", "what \"color\"?");
    item.references = {"blue"};
    item.metadata = R"({"k":1})";
    EXPECT_EQ(store->look_up(testing::share(item), key_of(1), kOneImage), Known::no);
    store->put(make_answer(item, key_of(1), "blue"));
    store->put(make_failure(make_item("b"), key_of(2), "decode", ErrorCode::timeout));
    store->finish_run(RunStatus::finished, R"({"seconds": 1})");
  }
  EXPECT_EQ(rows(file, "SELECT count(*) FROM pragma_table_info('answers')"), std::vector<std::string>{"34"});
  std::string names;
  for (const auto& name : rows(file, "SELECT name FROM pragma_table_info('answers')")) names += name + ", ";
  EXPECT_EQ(
      names,
      "run, job, task, id, images, prompt, status, answer, sequence, finish_reason, references, correct, "
      "score, "
      "logprob, probabilities, prompt_tokens, answer_tokens, closed, reasoning, reasoning_tokens, "
      "error_stage, "
      "error_code, error_message, "
      "vision_ms, text_ms, "
      "queue_ms, prefill_ms, decode_ms, total_ms, created, metadata, document, page, frame_times, ");
  EXPECT_THAT(
      rows(file,
           "SELECT run, job, task, id, images, prompt, status, answer, sequence, finish_reason, "
           "\"references\", correct, score, logprob, prompt_tokens, answer_tokens, error_stage, "
           "error_code, error_message, total_ms, metadata FROM answers ORDER BY id"),
      ElementsAre(
          "1|shapes|vqa|a|[\"a.png\"]|what \"color\"?|answered|blue|0|stop|[\"blue\"]|1|1.0|-0.5|7|2|"
          "|||1.5|{\"k\":1}",
          "1|shapes|vqa|b|[\"a.png\"]|what is it?|failed||0||[]||||||decode|timeout|what went wrong||"));
  EXPECT_THAT(rows(file, "SELECT status, resumed, stats FROM runs"),
              ElementsAre("finished|0|{\"seconds\": 1}"));
  EXPECT_THAT(rows(file, "PRAGMA integrity_check"), ElementsAre("ok"));
  EXPECT_FALSE(std::filesystem::exists(folder / "r.db.lock"));
}

/// The embeddings of the database as "id: width x y …".
std::vector<std::string> vectors(const std::filesystem::path& file) {
  Database database(file, Database::Mode::read_only);
  Statement statement = database.prepare("SELECT id, width, vector FROM vectors ORDER BY id, run");
  std::vector<std::string> out;
  while (statement.step()) {
    std::string line = std::string(statement.text(0)) + ": " + std::string(statement.text(1));
    for (const float x : embedding_of(statement.text(2))) line += fmt::format(" {}", x);
    out.push_back(line);
  }
  return out;
}

TEST(Store, ProbabilitiesAndEmbeddingsAreKeptCopiedAndRemoved) {
  TempFolder folder;
  const auto file = folder / "r.db";
  const std::string probabilities = R"({"red": 0.75, "blue": 0.5})";
  {
    const auto store = ResultsStore::open_or_create(file);
    store->begin_run(make_run(), ResumePolicy::resume);
    ItemResult classified = make_answer(make_item("c"), key_of(1), "red");
    classified.answers[0].probabilities = probabilities;
    store->put(classified);
    ItemResult embedded = make_answer(make_item("e"), key_of(2), "");
    embedded.answers[0].finish_reason.clear();
    embedded.answers[0].embedding = {0.5f, -0.25f, 1e-20f};
    store->put(embedded);
    store->flush();
    // Other items of the same content.
    EXPECT_EQ(store->look_up(testing::share(make_item("c2")), key_of(1), kOneImage), Known::answered);
    EXPECT_EQ(store->look_up(testing::share(make_item("e2")), key_of(2), kOneImage), Known::answered);
  }
  EXPECT_THAT(rows(file, "SELECT id, probabilities, finish_reason FROM answers ORDER BY id"),
              ElementsAre("c|" + probabilities + "|stop", "c2|" + probabilities + "|stop", "e||", "e2||"));
  EXPECT_THAT(vectors(file), ElementsAre("e: 3 0.5 -0.25 1e-20", "e2: 3 0.5 -0.25 1e-20"));
  {  // The same content again, in the same run, takes the place of the rows that were there.
    const auto store = ResultsStore::open_or_create(file);
    store->begin_run(make_run(), ResumePolicy::resume);
    ItemResult embedded = make_answer(make_item("e"), key_of(2), "");
    embedded.answers[0].embedding = {1.0f};
    store->put(embedded);
  }
  EXPECT_THAT(vectors(file), ElementsAre("e: 1 1", "e2: 3 0.5 -0.25 1e-20"));
  EXPECT_THAT(rows(file, "SELECT count(*) FROM embeddings"), ElementsAre("2"));
}

TEST(Store, ARunThatWasRefusedBeforeItsItemsIsAsItWas) {
  TempFolder folder;
  const auto file = folder / "r.db";
  constexpr const char* kRuns = "SELECT key, status, ended IS NULL, resumed, environment FROM runs";
  {
    const auto store = ResultsStore::open_or_create(file);
    store->begin_run(make_run(), ResumePolicy::resume);
    EXPECT_TRUE(store->withdraw_run());
  }
  EXPECT_THAT(rows(file, kRuns), ElementsAre());
  {
    const auto store = ResultsStore::open_or_create(file);
    store->begin_run(make_run(), ResumePolicy::resume);
    store->put(make_failure(make_item("a"), "", "read", ErrorCode::invalid_item));
    EXPECT_FALSE(store->withdraw_run()) << "its items have begun";
    store->finish_run(RunStatus::finished, "{}");
  }
  const auto before = rows(file, kAnswers), runs = rows(file, kRuns);
  {
    const auto store = ResultsStore::open_or_create(file);
    RunInfo elsewhere = make_run();
    elsewhere.environment += " elsewhere";
    EXPECT_EQ(store->begin_run(elsewhere, ResumePolicy::resume), 1);
    EXPECT_TRUE(store->withdraw_run());
  }
  EXPECT_EQ(rows(file, kRuns), runs);
  EXPECT_THAT(runs, ElementsAre(::testing::StartsWith("1|finished|0|0|")));
  EXPECT_EQ(rows(file, kAnswers), before);
}

TEST(Store, ResumeTakesUpWhatIsNotAnswered) {
  TempFolder folder;
  const auto file = folder / "r.db";
  const Item a = make_item("a"), b = make_item("b");
  const auto start = [&](ResumePolicy policy, const RunInfo& info) {
    auto store = ResultsStore::open_or_create(file);
    store->begin_run(info, policy);
    return store;
  };
  {
    const auto store = start(ResumePolicy::resume, make_run());
    store->put(make_answer(a, key_of(1), "one"));
    store->put(make_failure(b, key_of(2), "decode", ErrorCode::timeout));
  }
  {  // The same run again: the same number, nothing to do.
    const auto store = start(ResumePolicy::resume, make_run());
    EXPECT_EQ(store->look_up(testing::share(a), key_of(1), kOneImage), Known::answered);
    EXPECT_EQ(store->look_up(testing::share(b), key_of(2), kOneImage), Known::failed);
    EXPECT_EQ(store->look_up(testing::share(b), key_of(3), kOneImage), Known::no) << "its content is another";
  }
  EXPECT_THAT(rows(file, kAnswers), ElementsAre("1|shapes|a|answered|one|", "1|shapes|b|failed||timeout"));
  {  // Failed ones again: the new outcome replaces the old.
    const auto store = start(ResumePolicy::retry_failed, make_run());
    EXPECT_EQ(store->look_up(testing::share(a), key_of(1), kOneImage), Known::answered);
    EXPECT_EQ(store->look_up(testing::share(b), key_of(2), kOneImage), Known::no);
    store->put(make_answer(b, key_of(2), "two"));
  }
  EXPECT_THAT(rows(file, kAnswers), ElementsAre("1|shapes|a|answered|one|", "1|shapes|b|answered|two|"));
  EXPECT_THAT(rows(file, "SELECT count(*) FROM results"), ElementsAre("2"));
  {  // All again: a run of its own, the former answers are history.
    const auto store = start(ResumePolicy::fresh, make_run());
    EXPECT_EQ(store->look_up(testing::share(a), key_of(1), kOneImage), Known::no);
    store->put(make_answer(a, key_of(1), "uno"));
  }
  EXPECT_THAT(rows(file, kAnswers), ElementsAre("2|shapes|a|answered|uno|", "1|shapes|b|answered|two|"));
  EXPECT_THAT(rows(file, "SELECT run, id, answer FROM history ORDER BY run, id"),
              ElementsAre("1|a|one", "1|b|two", "2|a|uno"));
  {  // The interrupted fresh run continues; what it has not done is known from before.
    const auto store = start(ResumePolicy::resume, make_run());
    EXPECT_EQ(store->look_up(testing::share(a), key_of(1), kOneImage), Known::answered);
    EXPECT_EQ(store->look_up(testing::share(b), key_of(2), kOneImage), Known::answered);
  }
  EXPECT_THAT(rows(file, kAnswers), ElementsAre("2|shapes|a|answered|uno|", "2|shapes|b|answered|two|"));
  {  // Another setting: another run. Then the first setting again: its answers are the current ones again.
    const auto store = start(ResumePolicy::resume, make_run(R"({"top_k": 1})"));
    EXPECT_EQ(store->look_up(testing::share(a), key_of(9), kOneImage), Known::no);
    store->put(make_answer(a, key_of(9), "nine"));
  }
  EXPECT_THAT(rows(file, kAnswers), ElementsAre("3|shapes|a|answered|nine|", "2|shapes|b|answered|two|"));
  {
    const auto store = start(ResumePolicy::resume, make_run());
    EXPECT_EQ(store->look_up(testing::share(a), key_of(1), kOneImage), Known::answered);
  }
  EXPECT_THAT(rows(file, kAnswers), ElementsAre("2|shapes|a|answered|uno|", "2|shapes|b|answered|two|"));
  EXPECT_THAT(rows(file, "SELECT count(*) FROM history"), ElementsAre("5"));
}

TEST(Store, AnItemThatChangedIsSeenOnceWithItsNewContent) {
  TempFolder folder;
  const auto file = folder / "r.db";
  const auto store = ResultsStore::open_or_create(file);
  store->begin_run(make_run(), ResumePolicy::resume);
  store->put(make_answer(make_item("a", "old?"), key_of(1), "one"));
  store->flush();
  Item changed = make_item("a", "new?");
  EXPECT_EQ(store->look_up(testing::share(changed), key_of(2), kOneImage), Known::no);
  store->put(make_answer(changed, key_of(2), "two"));
  store->flush();
  EXPECT_THAT(rows(file, "SELECT prompt, answer FROM answers"), ElementsAre("new?|two"));
  EXPECT_THAT(rows(file, "SELECT prompt, answer FROM history ORDER BY answer"),
              ElementsAre("old?|one", "new?|two"));
  EXPECT_THAT(rows(file, "SELECT count(*) FROM results WHERE run_key = 1 AND current >= 0"),
              ElementsAre("1"));
}

TEST(Store, ReferencesAddedLaterAreScoredWithoutComputing) {
  TempFolder folder;
  const auto file = folder / "r.db";
  const auto store = ResultsStore::open_or_create(file);
  store->begin_run(make_run(), ResumePolicy::resume);
  Item item = make_item("a");
  store->put(make_answer(item, key_of(1), "blue"));
  store->flush();
  item.references = {"blue"};
  EXPECT_EQ(store->look_up(testing::share(item), key_of(1), kOneImage), Known::answered);
  store->flush();
  EXPECT_THAT(rows(file, "SELECT \"references\", correct, score, prompt_tokens, total_ms FROM history"),
              ElementsAre("[\"blue\"]|1|1.0|7|1.5"));
}

TEST(Store, EqualContentIsAnsweredOnce) {
  TempFolder folder;
  const auto file = folder / "r.db";
  const auto store = ResultsStore::open_or_create(file);
  store->begin_run(make_run(), ResumePolicy::resume);
  ItemResult first = make_answer(make_item("a"), key_of(1), "one");
  first.answers.push_back({"other", "length", std::nullopt, 3, "{\"x\":1}"});
  store->put(first);
  store->flush();
  EXPECT_EQ(store->look_up(testing::share(make_item("b", "what is it?", 2)), key_of(1), kOneImage),
            Known::answered);
  store->flush();
  EXPECT_THAT(rows(file, "SELECT id, sequence, answer, finish_reason FROM answers ORDER BY id, sequence"),
              ElementsAre("a|0|one|stop", "a|1|other|length", "b|0|one|stop", "b|1|other|length"));
}

TEST(Store, FailuresOfReadingAreFoundAgainOrGone) {
  TempFolder folder;
  const auto file = folder / "r.db";
  Item duplicate = make_item("a", "x", 5);
  duplicate.variant = 5;
  {
    const auto store = ResultsStore::open_or_create(file);
    store->begin_run(make_run(), ResumePolicy::resume);
    store->put(make_answer(make_item("a"), key_of(1), "one"));
    store->put(make_failure(duplicate, "", "read", ErrorCode::duplicate_id));
    store->put(make_failure(make_item("7"), "", "read", ErrorCode::invalid_item));
  }
  EXPECT_THAT(rows(file, kAnswers), ElementsAre("1|shapes|7|failed||invalid_item", "1|shapes|a|answered|one|",
                                                "1|shapes|a|failed||duplicate_id"));
  {
    const auto store = ResultsStore::open_or_create(file);
    store->begin_run(make_run(), ResumePolicy::resume);
    store->put(make_failure(duplicate, "", "read", ErrorCode::duplicate_id));
    store->put(make_failure(duplicate, "", "read", ErrorCode::duplicate_id));
  }
  EXPECT_THAT(rows(file, kAnswers),
              ElementsAre("1|shapes|a|answered|one|", "1|shapes|a|failed||duplicate_id"));
  EXPECT_THAT(rows(file, "PRAGMA integrity_check"), ElementsAre("ok"));
}

TEST(Store, AMendedLineLeavesNoFailureBehindInAnotherRun) {
  TempFolder folder;
  const auto file = folder / "r.db";
  const auto store = ResultsStore::open_or_create(file);
  store->begin_run(make_run(), ResumePolicy::resume);
  store->put(make_failure(make_item("3"), "", "read", ErrorCode::invalid_item));
  store->flush();
  store->begin_run(make_run(), ResumePolicy::fresh);
  store->put(make_answer(make_item("x3"), key_of(1), "one"));
  store->flush();
  EXPECT_THAT(rows(file, kAnswers), ElementsAre("2|shapes|x3|answered|one|"));
  EXPECT_THAT(rows(file, "SELECT key, status FROM runs"), ElementsAre("1|interrupted", "2|running"));
}

TEST(Store, AFailureTakesThePlaceOfAnAnswerAndGivesItBack) {
  TempFolder folder;
  const auto file = folder / "r.db";
  const auto store = ResultsStore::open_or_create(file);
  store->begin_run(make_run(), ResumePolicy::resume);
  const Item item = make_item("a");
  store->put(make_answer(item, key_of(1), "one"));
  store->put(make_failure(item, "", "image", ErrorCode::image_missing));
  store->flush();
  EXPECT_THAT(rows(file, kAnswers), ElementsAre("1|shapes|a|failed||image_missing"));
  EXPECT_EQ(store->look_up(testing::share(item), key_of(1), kOneImage), Known::answered);
  store->flush();
  EXPECT_THAT(rows(file, kAnswers), ElementsAre("1|shapes|a|answered|one|"));
  EXPECT_THAT(rows(file, "SELECT count(*) FROM results"), ElementsAre("1"));
}

TEST(Store, FullTextIndexFollowsTheRows) {
  TempFolder folder;
  const auto file = folder / "r.db";
  const auto store = ResultsStore::open_or_create(file);
  store->begin_run(make_run(), ResumePolicy::resume);
  store->put(make_answer(make_item("a", "形状は何色ですか"), key_of(1), "blue"));
  store->put(make_failure(make_item("b", "unanswered"), key_of(2), "decode", ErrorCode::timeout));
  store->put(make_answer(make_item("b", "unanswered"), key_of(2), "purple"));
  store->flush();
  const auto found = [&](const std::string& text) {
    return rows(file, "SELECT count(*) FROM texts WHERE texts MATCH '\"" + text + "\"'").at(0);
  };
  EXPECT_EQ(found("何色で"), "1");
  EXPECT_EQ(found("answered"), "1");
  EXPECT_EQ(found("PURP"), "1");
  Database database(file, Database::Mode::create);
  EXPECT_NO_THROW(database.run("INSERT INTO texts(texts) VALUES('integrity-check')"));
}

TEST(Store, BatchesAreCommittedWhenFullOrLate) {
  TempFolder folder;
  const auto file = folder / "r.db";
  ResultsStore::Options options;
  options.batch_items = 3;
  options.batch_time = std::chrono::milliseconds(50);
  const auto store = ResultsStore::open_or_create(file, options);
  store->begin_run(make_run(), ResumePolicy::resume);
  const auto count = [&] { return rows(file, "SELECT count(*) FROM answers").at(0); };
  store->put(make_answer(make_item("1"), key_of(1), "x"));
  store->put(make_answer(make_item("2"), key_of(2), "x"));
  EXPECT_EQ(count(), "0");
  store->put(make_answer(make_item("3"), key_of(3), "x"));
  EXPECT_EQ(count(), "3");
  store->put(make_answer(make_item("4"), key_of(4), "x"));
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  store->flush_if_due();
  EXPECT_EQ(count(), "4");
  EXPECT_NO_THROW(store->flush());
}

TEST(Store, DigestsOfImagesAreKept) {
  TempFolder folder;
  const auto store = ResultsStore::open_or_create(folder / "r.db");
  const FileStamp stamp{"/a.png", 3, 4, 5, 6};
  store->remember_digest(stamp, "aa");
  store->flush();
  EXPECT_EQ(store->find_digest(stamp), "aa");
  FileStamp other = stamp;
  other.modified_ns = 9;
  EXPECT_EQ(store->find_digest(other), std::nullopt);
  store->remember_digest(other, "bb");
  store->flush();
  EXPECT_EQ(store->find_digest(other), "bb");
  EXPECT_EQ(store->find_digest(stamp), std::nullopt);
}

TEST(ResultsStore, ThoughtsStandBesideTheAnswerAndAreCopiedWithIt) {
  TempFolder folder;
  const auto file = folder / "r.db";
  const auto store = ResultsStore::open_or_create(file);
  store->begin_run(make_run(), ResumePolicy::resume);
  ItemResult thought = make_answer(make_item("a"), key_of(1), "blue");
  thought.answers[0].reasoning = "it looks blue";
  thought.answers[0].reasoning_tokens = 4;
  store->put(thought);
  store->put(make_answer(make_item("b"), key_of(2), "red"));
  store->flush();
  EXPECT_NE(store->look_up(testing::share(make_item("c")), key_of(1), kOneImage), Known::no);
  store->flush();
  EXPECT_THAT(rows(file, "SELECT id, answer, reasoning, reasoning_tokens FROM answers ORDER BY id"),
              ElementsAre("a|blue|it looks blue|4", "b|red||", "c|blue|it looks blue|4"));
}

TEST(ResultsStore, RegionsAreRowsAndAreCopiedWithTheirAnswer) {
  TempFolder folder;
  const auto file = folder / "r.db";
  const auto store = ResultsStore::open_or_create(file);
  store->begin_run(make_run(), ResumePolicy::resume);
  ItemResult found = make_answer(make_item("a"), key_of(1), "two");
  found.answers[0].regions =
      R"([{"kind":"box","label":"cat","x1":1.5,"y1":2,"x2":3,"y2":4,"width":8,"height":9},)"
      R"({"kind":"polygon","label":"dog","x1":1,"y1":1,"x2":2,"y2":2,"points":[[1,1],[2,1],[2,2]],"width":8,"height":9}])";
  store->put(found);
  store->put(make_answer(make_item("b"), key_of(2), "none"));
  store->flush();
  EXPECT_NE(store->look_up(testing::share(make_item("c")), key_of(1), kOneImage), Known::no);
  store->flush();
  EXPECT_THAT(
      rows(file, "SELECT item, number, label, kind, x1, y2, points FROM regions ORDER BY item, number"),
      ElementsAre("a|0|cat|box|1.5|4|", "a|1|dog|polygon|1|2|[[1,1],[2,1],[2,2]]", "c|0|cat|box|1.5|4|",
                  "c|1|dog|polygon|1|2|[[1,1],[2,1],[2,2]]"));
}

TEST(ResultsStore, WhetherAnAnswerWasClosedIsStoredAndCopied) {
  TempFolder folder;
  const auto file = folder / "r.db";
  const auto store = ResultsStore::open_or_create(file);
  store->begin_run(make_run(), ResumePolicy::resume);
  ItemResult closed = make_answer(make_item("a"), key_of(1), "{}");
  closed.answers[0].closed = true;
  store->put(closed);
  ItemResult whole = make_answer(make_item("b"), key_of(2), "[]");
  whole.answers[0].closed = false;
  store->put(whole);
  store->put(make_answer(make_item("c"), key_of(3), "free"));
  store->flush();
  EXPECT_NE(store->look_up(testing::share(make_item("d")), key_of(1), kOneImage), Known::no);
  store->flush();
  EXPECT_THAT(rows(file, "SELECT id, answer, closed FROM answers ORDER BY id"),
              ElementsAre("a|{}|1", "b|[]|0", "c|free|", "d|{}|1"));
}

TEST(Schema, AVersionOneFileIsBroughtUpToDate) {
  TempFolder folder;
  const auto file = folder / "old.db";
  {
    Database database(file, Database::Mode::create);
    database.run(testing::read_text(std::filesystem::path(MMBATCH_TEST_DATA) / "jobs" / "version1.sql"));
  }
  EXPECT_THAT(rows(file, "PRAGMA user_version"), ElementsAre("1"));
  const auto reading = open_for_reading(file);
  EXPECT_EQ(reading->number("PRAGMA user_version"), schema_version());
  EXPECT_EQ(reading->number("SELECT count(*) FROM texts WHERE texts MATCH '\"colo\"'"), 1);
  const auto store = ResultsStore::open_or_create(file);
  store->begin_run(make_run(), ResumePolicy::resume);
  store->put(make_answer(make_item("new", "another color"), key_of(5), "red"));
  store->flush();
  EXPECT_THAT(rows(file, "SELECT id, answer FROM answers ORDER BY id"), ElementsAre("a|blue", "new|red"));
  EXPECT_THAT(rows(file, "SELECT id, probabilities FROM history ORDER BY id"), ElementsAre("a|", "new|"));
  EXPECT_THAT(rows(file, "SELECT count(*) FROM vectors"), ElementsAre("0"));
  EXPECT_THAT(rows(file, "SELECT count(*) FROM texts WHERE texts MATCH '\"colo\"'"), ElementsAre("2"));
}

TEST(Schema, AFileIsBroughtUpToDateAsAWholeOrNotAtAll) {
  TempFolder folder;
  const auto file = folder / "old.db";
  {
    Database database(file, Database::Mode::create);
    database.run(testing::read_text(std::filesystem::path(MMBATCH_TEST_DATA) / "jobs" / "version1.sql"));
    database.run("CREATE TABLE schemas(in_the_way)");  // of a step in the middle
    EXPECT_THROW(create_or_migrate(database), DatabaseError);
  }
  EXPECT_THAT(rows(file, "PRAGMA user_version"), ElementsAre("1"));
  EXPECT_THAT(rows(file, "SELECT count(*) FROM sqlite_schema WHERE name IN ('phrases', 'embeddings')"),
              ElementsAre("0"));
  EXPECT_THAT(rows(file, "SELECT id, answer FROM answers"), ElementsAre("a|blue"));
}

}  // namespace
}  // namespace mmbatch
