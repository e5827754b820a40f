#include "jobs/report/report.h"

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/sha256.h"
#include "engine/base/text/base64.h"
#include "jobs/report/charts.h"
#include "jobs/report/html.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using nlohmann::json;
using testing::error_of;
using ::testing::HasSubstr;
using testing::key_of;
using testing::make_answer;
using testing::make_failure;
using testing::make_item;
using testing::make_run;
using ::testing::Not;
using testing::TempFolder;

constexpr const char* kHostile = "</script><script>alert(1)</script><!-- ' \" & <img src=x onerror=alert(2)>";

std::string between(const std::string& text, const std::string& begin, const std::string& end) {
  const std::size_t from = text.find(begin) + begin.size();
  return text.substr(from, text.find(end, from) - from);
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

class Report : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto store = ResultsStore::open_or_create(file_);
    RunInfo info = make_run();
    info.manifest = kHostile;
    info.model.folder = kHostile;
    info.jobs[0].name = kHostile;
    store->begin_run(info, ResumePolicy::resume);
    store->remember_digest({"/images/a.png", 1, 2, 3, 4}, std::string(64, 'a'));
    for (int i = 0; i < 30; ++i) {
      Item item =
          make_item(std::string(kHostile) + std::to_string(i), kHostile, static_cast<std::uint64_t>(i) + 1);
      item.references = {i % 2 == 0 ? kHostile : "other"};
      item.question_type = kHostile;
      ItemResult result = make_answer(item, key_of(static_cast<std::uint64_t>(i)), kHostile);
      if (i == 0) result.answers.push_back({"second", "stop", -1.0, 1, ""});
      result.ms.total = 3.0 * i;
      store->put(result);
    }
    ItemResult failed =
        make_failure(make_item("bad", "?", 99), key_of(99), "image", ErrorCode::image_missing);
    failed.failure->message = kHostile;
    store->put(failed);
    store->finish_run(RunStatus::finished, R"({"decode_seconds": 1.5, "load_seconds": 0.25})");
  }

  std::string page(ReportOptions options = {}) {
    std::ostringstream out;
    write_report(file_, options, out);
    return out.str();
  }

  TempFolder folder_;
  std::filesystem::path file_ = folder_ / "r.db";
};

TEST_F(Report, ShowsTextAndRunsNothingButItsOwnScript) {
  const std::string html = page();
  EXPECT_EQ(count_of(html, "<script"), 3u) << "rows, thumbnails, and the page's own";
  EXPECT_EQ(count_of(html, "</script"), 3u);
  EXPECT_EQ(count_of(html, "<!--"), 0u);
  EXPECT_EQ(count_of(html, "<img"), 0u);
  EXPECT_THAT(html, HasSubstr("&lt;/script&gt;&lt;script&gt;alert(1)"));
  const std::string script = between(html, "<script>", "</script>");
  const std::string hash = between(html, "script-src 'sha256-", "'");
  EXPECT_EQ(hash, to_base64(Sha256().update(script).digest()));
  EXPECT_THAT(html, Not(HasSubstr("http://")));
  EXPECT_THAT(html, Not(HasSubstr("https://")));
}

TEST_F(Report, HasARowAnItemInTheirOrder) {
  ReportOptions options;
  std::vector<std::filesystem::path> asked;
  options.thumbnails = [&](const std::vector<PictureFile>& files) {
    for (const PictureFile& one : files) asked.push_back(one.file);
    return std::vector<std::string>(files.size(), "jpeg\xff");
  };
  const std::string html = page(options);
  const json rows = json::parse(between(html, "id=\"data\">", "</script>"));
  ASSERT_EQ(rows.size(), 31u);
  EXPECT_EQ(rows[0], json::array({std::string(kHostile) + "0",
                                  kHostile,
                                  kHostile,
                                  std::string(kHostile) + "\nsecond",
                                  kHostile,
                                  1,
                                  0,
                                  "",
                                  {0},
                                  "a.png",
                                  json::array()}));
  EXPECT_EQ(rows[1][5], 0);
  EXPECT_EQ(rows[30][7], std::string("image/image_missing: ") + kHostile);
  EXPECT_EQ(rows[30][6], nullptr);
  EXPECT_EQ(asked, std::vector<std::filesystem::path>{"/images/a.png"}) << "each image once";
  EXPECT_EQ(json::parse(between(html, "id=\"thumbnails\">", "</script>")),
            json::array({to_base64("jpeg\xff")}));
}

TEST_F(Report, TakesNumbersOfOthersThatAreNone) {
  {
    Database database(file_, Database::Mode::create);
    database.run(
        "UPDATE items SET document = 'a.mp4', images = json_array('a.mp4#t=' || CASE position WHEN 1 THEN "
        "'1e999' WHEN 2 THEN 'nan' WHEN 3 THEN '-1' ELSE '1.5' END)");
    database.run("UPDATE results SET total_ms = 1e999 WHERE total_ms > 60");
  }
  ReportOptions options;
  std::vector<double> seconds;
  options.thumbnails = [&](const std::vector<PictureFile>& files) {
    for (const PictureFile& one : files) seconds.push_back(one.part.seconds);
    return std::vector<std::string>(files.size(), "jpeg");
  };
  const std::string html = page(options);
  EXPECT_EQ(seconds, (std::vector<double>{-1, 1.5}));
  EXPECT_THAT(between(html, "Latency", "</section>"), HasSubstr("longest 60"));
}

TEST_F(Report, CountsAllAndShowsAsManyAsAskedFor) {
  ReportOptions options;
  options.max_items = 4;
  const std::string html = page(options);
  EXPECT_EQ(json::parse(between(html, "id=\"data\">", "</script>")).size(), 4u);
  EXPECT_THAT(html, HasSubstr("The first 4 of 31 items"));
  EXPECT_THAT(html, HasSubstr("<b>30</b><span>answered"));
  EXPECT_THAT(html, HasSubstr("<b>50.0 %</b><span>exact match"));
  EXPECT_THAT(html, HasSubstr("Time by stage"));
  EXPECT_THAT(html, HasSubstr("Failures"));
  options.job = "none";
  EXPECT_THAT(error_of<UsageError>([&] { page(options); }), HasSubstr("--job 'none'"));
}

TEST(Charts, StandTheirGroundAtTheEdges) {
  for (const auto& values : std::vector<std::vector<double>>{{0, 0}, {5, 5}, {1e-9, 1e12}, {0, 1, 2, 3}}) {
    EXPECT_THAT(latency_chart(values), Not(HasSubstr("nan")));
  }
  EXPECT_THAT(rate_chart({{0, 0}}), Not(HasSubstr("nan")));
  EXPECT_THAT(bar_chart({{"a<b", 0, "0"}, {"b", 2, "2"}}, 0), HasSubstr("a&lt;b"));
  EXPECT_EQ(milliseconds_text(0.84), "0.8 ms");
  EXPECT_EQ(milliseconds_text(125'000), "2:05 min");
  EXPECT_EQ(milliseconds_text(1e300), milliseconds_text(1e18)) << "longer than whole numbers say";
}

TEST(Html, Escapes) {
  EXPECT_EQ(html_text("a<b>\"&'\xff"), "a&lt;b&gt;&quot;&amp;&#39;\xEF\xBF\xBD");
}

}  // namespace
}  // namespace mmbatch
