#include "jobs/query/query.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/text/lower_case.h"
#include "engine/base/text/utf8.h"
#include "jobs/eval/eval.h"
#include "jobs/query/table_writer.h"
#include "jobs/results/database.h"
#include "jobs/results/database_error.h"
#include "jobs/text/json_text.h"
#include "jobs/text/text_width.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::key_of;
using testing::make_answer;
using testing::make_failure;
using testing::make_item;
using testing::make_run;
using testing::TempFolder;

/// Two runs: the first answers five of six items, the second answers one of them anew.
class Query : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto store = ResultsStore::open_or_create(file_);
    store->begin_run(make_run(), ResumePolicy::resume);
    const char* answers[] = {"blue", "red, \"dark\"", "青い|三角形", "a\nb", "yes"};
    for (int i = 0; i < 5; ++i) {
      Item item = make_item("i" + std::to_string(i), i == 2 ? "形は何ですか" : "what color?",
                            static_cast<std::uint64_t>(i) + 1);
      if (i < 4) item.references = {"blue"};
      item.question_type = i % 2 == 0 ? "color" : "shape";
      if (i == 0) item.metadata = R"({"n":[1,2]})";
      ItemResult result = make_answer(item, key_of(static_cast<std::uint64_t>(i)), answers[i]);
      result.ms.total = 10.0 * i;
      if (i == 4) result.answers[0].finish_reason = "length";
      store->put(result);
    }
    Item failed = make_item("f", "what color?", 6);
    failed.references = {"blue"};
    failed.question_type = "color";
    store->put(make_failure(failed, key_of(7), "image", ErrorCode::image_missing));
    store->finish_run(RunStatus::finished, "{}");
    store->begin_run(make_run(R"({"top_k":1})"), ResumePolicy::resume);
    Item again = make_item("i1", "what color?", 2);
    again.references = {"blue"};
    store->put(make_answer(again, key_of(9), "blue"));
    store->finish_run(RunStatus::interrupted, "{}");
  }

  std::string text(QueryOptions options, OutputFormat format = OutputFormat::csv) const {
    options.style.format = format;
    std::ostringstream out;
    query(file_, options, out);
    return out.str();
  }
  /// The ids that a query gives, in their order.
  std::string ids(QueryOptions options) const {
    options.columns = {"id"};
    std::string out = text(options);
    std::replace(out.begin(), out.end(), '\n', ' ');
    return out.substr(3);
  }

  TempFolder folder_;
  std::filesystem::path file_ = folder_ / "r.db";
};

TEST_F(Query, FiltersSortsAndLimits) {
  EXPECT_EQ(ids({}), "i0 i1 i2 i3 i4 f ");
  QueryOptions o;
  o.status = "failed";
  EXPECT_EQ(ids(o), "f ");
  o = {};
  o.finish_reason = "length";
  EXPECT_EQ(ids(o), "i4 ");
  o = {};
  o.run = "1";
  EXPECT_EQ(ids(o), "i0 i1 i2 i3 i4 f ");
  o.run = "2";
  EXPECT_EQ(ids(o), "i1 ");
  o.run = "latest";
  EXPECT_EQ(ids(o), "i1 ");
  o.run = "all";
  EXPECT_EQ(ids(o), "i0 i1 i1 i2 i3 i4 f ");
  o = {};
  o.job = "other";
  EXPECT_THROW(ids(o), UsageError);
  o = {};
  o.contains = "何で";
  EXPECT_EQ(ids(o), "i2 ") << "two characters: a scan";
  o.contains = "は何で";
  EXPECT_EQ(ids(o), "i2 ");
  o.contains = "BLUE";
  EXPECT_EQ(ids(o), "i0 i1 ");
  o.contains = "\"dark\"";
  EXPECT_EQ(ids(o), "") << "that answer is no longer the current one";
  o.run = "all";
  EXPECT_EQ(ids(o), "i1 ");
  o = {};
  o.contains = "%";
  EXPECT_EQ(ids(o), "");
  o = {};
  o.where = "total_ms > 15 AND \"references\" <> '[]' -- a comment";
  EXPECT_EQ(ids(o), "i2 i3 ");
  o = {};
  o.sort = "-total_ms";
  o.limit = 2;
  EXPECT_EQ(ids(o), "i4 i3 ");
}

TEST_F(Query, JsonLinesHaveTheColumnsOfTheView) {
  std::istringstream lines(text({}, OutputFormat::jsonl));
  std::string line;
  std::getline(lines, line);
  const auto row = nlohmann::ordered_json::parse(line);
  std::vector<std::string> keys;
  for (const auto& [key, value] : row.items()) keys.push_back(key);
  EXPECT_EQ(keys, answer_columns());
  EXPECT_EQ(row["run"], 1);
  EXPECT_EQ(row["images"], nlohmann::json::parse(R"(["a.png"])"));
  EXPECT_EQ(row["references"], nlohmann::json::parse(R"(["blue"])"));
  EXPECT_EQ(row["metadata"], nlohmann::json::parse(R"({"n":[1,2]})"));
  EXPECT_EQ(row["correct"], true);
  EXPECT_EQ(row["score"], 1.0);
  EXPECT_EQ(row["error_code"], nullptr);
  EXPECT_EQ(row["logprob"], -0.5);
  int count = 1;
  for (; std::getline(lines, line); ++count) EXPECT_TRUE(nlohmann::json::accept(line));
  EXPECT_EQ(count, 6);
  EXPECT_EQ(nlohmann::json::parse(text({}, OutputFormat::json)).size(), 6u);
  QueryOptions none;
  none.where = "0";
  EXPECT_EQ(text(none, OutputFormat::json), "[]\n");
}

TEST_F(Query, OtherFormats) {
  QueryOptions o;
  o.columns = {"id", "answer"};
  o.run = "1";
  EXPECT_EQ(text(o),
            "id,answer\ni0,blue\ni1,\"red, \"\"dark\"\"\"\ni2,青い|三角形\ni3,\"a\nb\"\ni4,yes\nf,\n");
  EXPECT_EQ(text(o, OutputFormat::markdown),
            "| id | answer |\n|---|---|\n| i0 | blue |\n| i1 | red, \"dark\" |\n| i2 | 青い\\|三角形 |\n| i3 "
            "| a⏎b |\n"
            "| i4 | yes |\n| f |  |\n");
  EXPECT_EQ(
      text(o, OutputFormat::table),
      "id  answer\n--  -----------\ni0  blue\ni1  red, \"dark\"\ni2  青い|三角形\ni3  a⏎b\ni4  yes\nf\n");
  o.style.width = 12;
  EXPECT_EQ(text(o, OutputFormat::table),
            "id  answer\n--  --------\ni0  blue\ni1  red, \"d…\ni2  青い|三…\ni3  a⏎b\ni4  yes\nf\n");
  o.style.width = 11;  // a wide character that would be halved leaves a space
  EXPECT_THAT(text(o, OutputFormat::table), HasSubstr("i2  青い|…\n"));
}

TEST_F(Query, MistakesAreExplained) {
  const auto error = [&](const std::function<void(QueryOptions&)>& change) {
    QueryOptions o;
    change(o);
    return testing::error_of<UsageError>([&] { text(o); });
  };
  EXPECT_THAT(error([](auto& o) { o.columns = {"anser"}; }), HasSubstr("did you mean 'answer'?"));
  EXPECT_THAT(error([](auto& o) { o.sort = "-ids"; }), HasSubstr("unknown column 'ids'"));
  EXPECT_THAT(error([](auto& o) { o.status = "done"; }), HasSubstr("answered, failed"));
  EXPECT_THAT(error([](auto& o) { o.run = "7"; }), HasSubstr("there is no run 7; runs are 1 to 2"));
  EXPECT_THAT(error([](auto& o) { o.run = "x"; }), HasSubstr("neither"));
  EXPECT_THAT(error([](auto& o) { o.where = "nonesuch = 1"; }), HasSubstr("no such column: nonesuch"));
  EXPECT_THAT(error([](auto& o) { o.where = "1); DROP TABLE items; --"; }), HasSubstr("SQL"));
  EXPECT_THAT(error([](auto& o) { o.where = "id LIKE"; }), HasSubstr("--where 'id LIKE'"));
  for (const char* where : {"1 LIMIT 1", "1 UNION SELECT 1"})
    EXPECT_THAT(error([&](auto& o) { o.where = where; }), HasSubstr("must be one condition")) << where;
  for (const char* where : {"id = ?", "id = ?1", "id = :id", " ", "1; SELECT 1", "1=1) OR (1",
                            "1 END, CASE WHEN 1", "id = 'q' /*"})
    EXPECT_THAT(error([&](auto& o) { o.where = where; }), HasSubstr("--where")) << where;
  EXPECT_THAT(error([](auto& o) { o.sql = "SELECT ?1"; }), HasSubstr("parameter"));
  EXPECT_THAT(error([](auto& o) { o.columns = {"x"}; }), HasSubstr("--columns"));
  EXPECT_THAT(error([](auto& o) { o.sql = "SELECT 1", o.limit = 1; }),
              HasSubstr("leave the other filters out"));
  EXPECT_THROW(output_format("xml"), UsageError);
  file_ = folder_ / "none.db";
  EXPECT_THROW(text({}), DatabaseError);
}

TEST_F(Query, NumbersKeepTheirDigits) {
  QueryOptions o;
  o.sql = "SELECT 1234567.89 AS a, 0.1 + 0.2 AS b, 1e15 + 0.5 AS c, -12.345678 AS d, 9e999 AS e";
  EXPECT_EQ(text(o), "a,b,c,d,e\n1234567.89,0.30000000000000004,1000000000000000.5,-12.345678,Inf\n");
  EXPECT_THAT(text(o, OutputFormat::table), HasSubstr("1234567.89  0.3"));
  EXPECT_THAT(text(o, OutputFormat::markdown), HasSubstr("| 1234567.89 | 0.3 | 1e+15 | -12.3457 |"));
}

TEST_F(Query, ACommentBehindAStatementIsNone) {
  QueryOptions o;
  o.sql = "SELECT 1 AS one; -- done\n /* really */ ;";
  EXPECT_THAT(text(o), HasSubstr("1"));
  o.sql = "SELECT 1; SELECT 2";
  EXPECT_THAT(testing::error_of<UsageError>([&] { text(o); }), HasSubstr("more than one statement"));
}

TEST_F(Query, ACommentInAConditionHidesNoOtherFilter) {
  QueryOptions o;
  o.columns = {"id"};
  o.where = "id LIKE 'i%' -- and more";
  o.limit = 2;
  EXPECT_EQ(text(o), "id\ni0\ni1\n");
  o.where = "position < 3 AND status = 'answered'";
  EXPECT_EQ(text(o), "id\ni0\ni1\n");
}

TEST_F(Query, SqlCanOnlyRead) {
  QueryOptions o;
  o.sql = "WITH t AS (SELECT count(*) AS n FROM answers) SELECT n, upper('x') AS u FROM t;";
  EXPECT_EQ(text(o), "n,u\n6,X\n");
  for (const char* sql :
       {"DELETE FROM results", "DROP TABLE items", "UPDATE results SET answer = 'x'",
        "PRAGMA user_version = 5", "PRAGMA query_only = 0", "ATTACH '/tmp/mmbatch-attached.db' AS x",
        "VACUUM", "CREATE TEMP TABLE t(x)", "INSERT INTO runs DEFAULT VALUES RETURNING key",
        "SELECT load_extension('x')", "BEGIN", "SELECT 1; SELECT 2", "SELEC 1", "", "  -- nothing",
        "INSERT INTO texts(texts) VALUES('rebuild')"}) {
    o.sql = sql;
    if (o.sql.empty()) continue;
    EXPECT_THROW(text(o), UsageError) << sql;
  }
  EXPECT_EQ(ids({}), "i0 i1 i2 i3 i4 f ");
}

TEST_F(Query, WorksWhileARunWritesAndInAReadOnlyFolder) {
  {
    const auto store = ResultsStore::open_or_create(file_);
    store->begin_run(make_run(), ResumePolicy::resume);
    store->put(make_answer(make_item("new", "x", 9), key_of(20), "y"));
    EXPECT_EQ(ids({}), "i0 i1 i2 i3 i4 f ");
    store->flush();
    EXPECT_EQ(ids({}), "i0 i1 i2 i3 i4 f new ");
  }
  ::chmod(file_.c_str(), 0444);
  ::chmod(folder_.path().c_str(), 0555);
  EXPECT_EQ(ids({}), "i0 i1 i2 i3 i4 f new ");
  ::chmod(folder_.path().c_str(), 0755);
}

TEST_F(Query, Summaries) {
  const auto lines = [&](Summary what, const std::string& run = "") {
    QueryOptions o;
    o.style.format = OutputFormat::jsonl;
    o.run = run;
    std::ostringstream out;
    summarize(file_, what, o, out);
    std::vector<nlohmann::json> rows;
    std::istringstream in(out.str());
    for (std::string line; std::getline(in, line);) rows.push_back(nlohmann::json::parse(line));
    return rows;
  };
  const auto runs = lines(Summary::runs);
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0]["items"], 6);
  EXPECT_EQ(runs[0]["failed"], 1);
  EXPECT_EQ(runs[1]["status"], "interrupted");
  const auto jobs = lines(Summary::jobs, "1");
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0]["answered"], 5);
  EXPECT_EQ(jobs[0]["exact_match"], 0.25);
  const auto failures = lines(Summary::failures);
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0]["error_code"], "image_missing");
  EXPECT_EQ(failures[0]["example"], "f");
}

TEST_F(Query, FailuresCountItemsAndNotTheirAnswers) {
  {
    const auto store = ResultsStore::open_or_create(file_);
    store->begin_run(make_run(R"({"top_k":2})"), ResumePolicy::resume);
    const Item item = make_item("cut", "what color?", 20);
    ItemResult result = make_answer(item, key_of(20), "bl");
    result.answers.resize(3, result.answers[0]);
    result.failure = Failure{"decode", ErrorCode::invalid_value, "cut"};
    store->put(result);
    store->finish_run(RunStatus::finished, "{}");
  }
  QueryOptions options;
  options.run = "3";
  options.style.format = OutputFormat::jsonl;
  std::ostringstream out;
  summarize(file_, Summary::failures, options, out);
  const auto failure = nlohmann::json::parse(out.str());
  EXPECT_EQ(failure["error_code"], "invalid_value");
  EXPECT_EQ(failure["items"], 1);
}

TEST_F(Query, Evaluation) {
  const auto report = nlohmann::json::parse(to_json(evaluate(file_, {})));
  EXPECT_EQ(report["items"], 5);
  EXPECT_EQ(report["answered"], 4);
  EXPECT_EQ(report["failed"], 1);
  EXPECT_EQ(report["exact_match"], 0.5);
  EXPECT_EQ(report["exact_match_of_all"], 0.4);
  EXPECT_EQ(report["without_references"], 1);
  EXPECT_EQ(report["jobs"]["shapes"]["items"], 5);
  EXPECT_EQ(report["question_types"]["color"]["items"], 3);
  EXPECT_EQ(report["question_types"]["color"]["exact_match"], 0.5);
  EXPECT_EQ(report["answer_types"].size(), 0u);
  const auto interval = report["exact_match_interval"];
  EXPECT_LT(interval[0], 0.5);
  EXPECT_GT(interval[1], 0.5);
  EvalOptions o;
  o.run = "1";
  EXPECT_EQ(evaluate(file_, o).all.exact_match, 0.25);
  o.job = "none";
  EXPECT_THROW(evaluate(file_, o), UsageError);
  EXPECT_THAT(to_text(evaluate(file_, {})), HasSubstr("by question type"));
  EXPECT_EQ(to_json(evaluate(file_, {})), to_json(evaluate(file_, {})));
}

TEST(Table, WidthsGiveWayFromTheWidest) {
  EXPECT_THAT(fit_widths({5, 100, 10}, 0), ElementsAre(5, 100, 10));
  EXPECT_THAT(fit_widths({5, 100, 10}, 40), ElementsAre(5, 21, 10));
  EXPECT_THAT(fit_widths({50, 100, 60}, 40), ElementsAre(12, 12, 12));
  EXPECT_THAT(fit_widths({4, 4, 4}, 3), ElementsAre(4, 4, 4));
  for (std::size_t width = 20; width < 200; ++width) {
    const auto widths = fit_widths({30, 70, 71, 4, 9}, width);
    EXPECT_LE(widths[0] + widths[1] + widths[2] + widths[3] + widths[4] + 8,
              std::max<std::size_t>(width, 28));
  }
}

TEST(Text, Utf8) {
  EXPECT_EQ(invalid_utf8_at("aé日😀"), std::nullopt);
  EXPECT_EQ(invalid_utf8_at("a\xC0\x80"), 1u);
  EXPECT_EQ(invalid_utf8_at("\xED\xA0\x80"), 0u);
  EXPECT_EQ(invalid_utf8_at("\xF4\x90\x80\x80"), 0u);
  EXPECT_EQ(invalid_utf8_at("ab\xE6\x97"), 2u);
  EXPECT_EQ(replace_invalid_utf8("a\xFF"), "a\xEF\xBF\xBD");
  EXPECT_EQ(display_width("aé日😀e\xCC\x81"), 7u);
  EXPECT_EQ(to_lower("ÀÖ×ΑΩЯЁŽ日"), "àö×αωяёž日");
  EXPECT_EQ(stripped(" \n"), "");
}

TEST(LargeQuery, ManyRowsAreFoundInTheSameOrderAsFew) {
  // Above 20,000 rows a filter is read in order instead of sorted.
  const TempFolder folder;
  const auto file = folder / "r.db";
  constexpr std::uint64_t kItems = 21'000;
  {
    const auto store = ResultsStore::open_or_create(file);
    store->begin_run(make_run(), ResumePolicy::resume);
    for (std::uint64_t i = 0; i < kItems; ++i) {
      Item item =
          make_item(std::to_string(i), i % 2 == 0 ? "Ünd what?" : "other " + std::to_string(i), kItems - i);
      ItemResult result = make_answer(item, key_of(i), i % 3 == 0 ? "ünder" : "over");
      result.answers[0].logprob = -static_cast<double>(i * 7919 % kItems);
      store->put(result);
    }
  }
  const auto ids = [&](auto change) {
    QueryOptions options;
    options.style.format = OutputFormat::csv;
    options.columns = {"id"};
    change(options);
    std::ostringstream out;
    query(file, options, out);
    std::vector<std::string> lines;
    std::istringstream text(out.str());
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    lines.erase(lines.begin());
    return lines;
  };
  const auto first = [](QueryOptions& options) { options.limit = 3; };
  EXPECT_THAT(ids([&](QueryOptions& o) { first(o); }), ElementsAre("20999", "20998", "20997"));
  EXPECT_THAT(ids([&](QueryOptions& o) {
                first(o);
                o.finish_reason = "stop";
                o.status = "answered";
              }),
              ElementsAre("20999", "20998", "20997"));
  EXPECT_EQ(ids([](QueryOptions& o) { o.contains = "ÜND"; }).size(), kItems / 2 + kItems / 6);
  EXPECT_THAT(ids([&](QueryOptions& o) {
                first(o);
                o.contains = "üND";
              }),
              ElementsAre("20998", "20997", "20996"));
  EXPECT_THAT(ids([](QueryOptions& o) { o.contains = "other 2099"; }),
              ElementsAre("20999", "20997", "20995", "20993", "20991", "2099"));
  EXPECT_THAT(ids([&](QueryOptions& o) {
                first(o);
                o.contains = "ov";
                o.sort = "-logprob";
              }),
              ElementsAre("10679", "358", "716"));
  EXPECT_THAT(ids([&](QueryOptions& o) {
                first(o);
                o.sort = "-prompt";
              }),
              ElementsAre("0", "2", "4"));
  EXPECT_THAT(ids([&](QueryOptions& o) {
                first(o);
                o.sort = "logprob";
                o.where = "CAST(id AS INTEGER) < 100";
              }),
              ElementsAre("53", "45", "98"));
  // A limit gives the beginning of what is given without one, whichever rows it lets be passed over.
  for (const char* sort : {"logprob", "-logprob", "answer", "-answer", "prompt", "-correct", "id", "run"}) {
    const auto sorted = [&](QueryOptions& o) {
      o.contains = "ER";  // in every answer, and in every other prompt
      o.sort = sort;
      o.status = "answered";
    };
    std::vector<std::string> all = ids(sorted);
    ASSERT_EQ(all.size(), kItems) << sort;
    for (const std::uint64_t limit : {0, 1, 7, 500}) {
      const auto some = ids([&](QueryOptions& o) {
        sorted(o);
        o.limit = limit;
      });
      EXPECT_EQ(some, std::vector(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(limit)))
          << sort << ", " << limit;
    }
  }
}

}  // namespace
}  // namespace mmbatch
