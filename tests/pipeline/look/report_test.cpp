// A report in a real browser; skipped where there is none (`tests/run.sh --long` installs chromium).

#include <gtest/gtest.h>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

std::string browser() {
  for (const char* const name :
       {"/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"}) {
    if (std::filesystem::exists(name)) return name;
  }
  return "";
}

/// The page as the browser has made it, and what it logged before it.
std::string dom(const Workplace& place, const std::string& page, const std::string& filter) {
  const std::string command =
      "cd " + place.path(".") + " && timeout 60 " + browser() +
      " --headless --no-sandbox --disable-gpu --user-data-dir=" + place.path("profile") +
      " --enable-logging=stderr --virtual-time-budget=2000 --dump-dom 'file://" + page + "#" + filter +
      "' 2>&1";
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string text;
  char buffer[4096];
  while (const std::size_t got = std::fread(buffer, 1, sizeof(buffer), pipe)) text.append(buffer, got);
  ::pclose(pipe);
  return text;
}

std::size_t rows_in(const std::string& dom) {
  std::size_t count = 0;
  const std::size_t begin = dom.find("<tbody id=\"rows\">"), end = dom.find("</tbody>", begin);
  for (std::size_t at = dom.find("<tr>", begin); at < end; at = dom.find("<tr>", at + 1)) ++count;
  return count;
}

TEST(ReportPage, WorksInABrowser) {
  if (browser().empty()) GTEST_SKIP() << "no chromium here";
  const Workplace place;
  const std::string image = Workplace::images().front();
  std::string lines;
  for (int i = 0; i < 120; ++i) {
    const std::string question =
        i == 7 ? "<script>document.title=1</script> needle?" : "what color is it, " + std::to_string(i) + "?";
    lines += nlohmann::json{{"image", image}, {"question", question}, {"answer", "red"}}.dump() + "\n";
  }
  lines += R"({"image": "nowhere.png", "question": "missing needle?"})"
           "\n";
  place.write("items.jsonl", lines);
  const std::string manifest =
      place.write("m.yaml", "model: " + Workplace::demo("model") +
                                "\ndatabase: r.db\njobs: [{name: j, task: vqa, items: items.jsonl}]\n");
  ASSERT_EQ(program("run -q " + manifest).code, 1);
  const std::string page = place.path("report.html");
  ASSERT_EQ(program("report " + place.path("r.db") + " -o " + page).code, 0);

  const std::string all = dom(place, page, "");
  EXPECT_EQ(rows_in(all), 100u) << "the first page of the table";
  EXPECT_NE(all.find("121 of 121 items"), std::string::npos);
  EXPECT_NE(all.find("src=\"data:image/jpeg;base64,/9j/"), std::string::npos) << "thumbnails";
  const std::string some = dom(place, page, "NEEDLE");
  EXPECT_EQ(rows_in(some), 2u);
  EXPECT_NE(some.find("&lt;script&gt;document.title=1&lt;/script&gt; needle?"), std::string::npos);
  EXPECT_EQ(some.find("<title>1</title>"), std::string::npos);
  EXPECT_EQ((all + some).find("CONSOLE"), std::string::npos) << all.substr(0, 2000);
}

}  // namespace
}  // namespace mmbatch
