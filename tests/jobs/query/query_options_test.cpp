#include <gmock/gmock.h>

#include <sstream>

#include "jobs/eval/eval.h"
#include "jobs/query/query.h"
#include "jobs/report/report.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::key_of;
using testing::make_answer;
using testing::make_item;
using testing::make_run;
using testing::TempFolder;

class QueryOptionsTest : public ::testing::Test {
 protected:
  QueryOptionsTest() {
    const auto store = ResultsStore::open_or_create(file_);
    RunInfo run = make_run();
    run.jobs.push_back(run.jobs.front());
    run.jobs.back().name = "two\nlines";
    store->begin_run(run, ResumePolicy::resume);
    const char* const answers[] = {"=1+1", "+2", "-3", "@x", "\tz", "a=b", ""};
    for (std::uint64_t i = 0; i < 7; ++i) {
      Item item = make_item("i" + std::to_string(i), "red \x1b[31m\u202eok\u009b", i + 1);
      ItemResult result = make_answer(item, key_of(i), answers[i]);
      store->put(result);
    }
    store->finish_run(RunStatus::finished, "{}");
  }

  std::string text(const QueryOptions& options) const {
    std::ostringstream out;
    query(file_, options, out);
    return out.str();
  }
  std::string usage(const QueryOptions& options) const {
    return error_of<UsageError>([&] { text(options); });
  }
  std::string usage(Summary what, const QueryOptions& options) const {
    std::ostringstream out;
    return error_of<UsageError>([&] { summarize(file_, what, options, out); });
  }

  TempFolder folder_;
  std::filesystem::path file_ = folder_ / "r.db";
};

TEST_F(QueryOptionsTest, AJobThatIsNotThereIsRefusedWithTheNamesOfThoseThatAre) {
  QueryOptions o;
  EvalOptions eval;
  ReportOptions report;
  o.job = eval.job = report.job = "pictures";
  for (const std::string& said :
       {usage(o), usage(Summary::jobs, o), usage(Summary::failures, o),
        error_of<UsageError>([&] { evaluate(file_, eval); }), error_of<UsageError>([&] {
          std::ostringstream out;
          write_report(file_, report, out);
        })}) {
    EXPECT_THAT(said, HasSubstr("--job 'pictures'"));
    EXPECT_THAT(said, HasSubstr("'shapes', 'two\\nlines'"));
  }
}

TEST_F(QueryOptionsTest, SqlThatFailsWhileItRunsIsWrongUsage) {
  QueryOptions o;
  o.sql = "SELECT json('x')";
  EXPECT_THAT(usage(o), HasSubstr("malformed JSON"));
  o = {};
  o.where = "json(prompt) = 1";
  EXPECT_THAT(usage(o), HasSubstr("malformed JSON"));
}

TEST_F(QueryOptionsTest, SummariesRefuseWhatTheyWouldDrop) {
  QueryOptions o;
  o.sql = "SELECT 41 + 1";
  EXPECT_THAT(usage(Summary::failures, o), HasSubstr("--sql"));
  o = {};
  o.where = "1";
  EXPECT_THAT(usage(Summary::runs, o), HasSubstr("--where"));
  o = {};
  o.job = "shapes";
  EXPECT_THAT(usage(Summary::runs, o), HasSubstr("--job"));
}

TEST_F(QueryOptionsTest, SummariesTakeRunJobAndLimit) {
  const auto lines = [&](Summary what, QueryOptions options) {
    options.style.format = OutputFormat::jsonl;
    std::ostringstream out;
    return summarize(file_, what, options, out);
  };
  QueryOptions first_run, none, shapes, other;
  first_run.run = "1";
  none.limit = 0;
  shapes.job = "shapes";
  other.job = "two\nlines";
  EXPECT_EQ(lines(Summary::runs, first_run), 1u);
  EXPECT_EQ(lines(Summary::runs, none), 0u);
  EXPECT_EQ(lines(Summary::jobs, shapes), 1u);
  EXPECT_EQ(lines(Summary::jobs, other), 0u);
}

TEST_F(QueryOptionsTest, TablesWriteOutWhatCouldSteerATerminal) {
  QueryOptions o;
  o.columns = {"prompt"};
  o.limit = 1;
  for (const auto format : {OutputFormat::table, OutputFormat::markdown}) {
    o.style.format = format;
    const std::string said = text(o);
    EXPECT_EQ(said.find_first_of("\x1b\x7f"), std::string::npos);
    EXPECT_EQ(said.find("\u202e"), std::string::npos);
    EXPECT_EQ(said.find("\u009b"), std::string::npos);
    EXPECT_THAT(said, HasSubstr("x1b"));
    EXPECT_THAT(said, HasSubstr("u202e"));
  }
  o.style.format = OutputFormat::csv;
  EXPECT_EQ(text(o), "prompt\nred \x1b[31m\u202eok\u009b\n") << "data has the true bytes";
}

TEST_F(QueryOptionsTest, FormulasAreDefusedWhereThatIsAskedFor) {
  QueryOptions o;
  o.columns = {"answer", "logprob"};
  o.style.format = OutputFormat::csv;
  EXPECT_EQ(text(o), "answer,logprob\n=1+1,-0.5\n+2,-0.5\n-3,-0.5\n@x,-0.5\n\tz,-0.5\na=b,-0.5\n,-0.5\n");
  o.style.cells = CsvCells::defused;
  EXPECT_EQ(text(o),
            "answer,logprob\n'=1+1,-0.5\n'+2,-0.5\n'-3,-0.5\n'@x,-0.5\n'\tz,-0.5\na=b,-0.5\n,-0.5\n");
}

}  // namespace
}  // namespace mmbatch
