// A report in a real browser; skipped where there is none (`tests/run.sh --long` installs chromium).

#include <fmt/format.h>
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
std::string dom(const Workplace& place, const std::string& page, const std::string& filter,
                const std::string& options = "") {
  const std::string command =
      "cd " + place.path(".") + " && timeout 60 " + browser() +
      " --headless --no-sandbox --disable-gpu --user-data-dir=" + place.path("profile") + " " + options +
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

// A page around the report, which does in it what people do, and writes what it then sees into itself.
constexpr const char* kHands = R"html(<!DOCTYPE html><html><body><pre id="seen"></pre>
<iframe id="report" src="report.html"></iframe><script>
const frame = document.getElementById('report');
frame.addEventListener('load', async () => {
  const page = frame.contentWindow, inside = page.document, seen = {};
  const at = (id) => inside.getElementById(id);
  const look = () => ({
    count: at('count').textContent,
    heads: [...inside.querySelectorAll('#rows')[0].closest('table').querySelectorAll('th')].map((h) => h.textContent),
    sorted: [...inside.querySelectorAll('th[aria-sort]')].map((h) => h.textContent + ' ' + h.getAttribute('aria-sort')),
    rows: [...at('rows').children].map((row) => [...row.children].map((cell) => cell.textContent)),
  });
  const set = (id, value, event) => {
    at(id).value = value;
    at(id).dispatchEvent(new page.Event(event));
  };
  const click = (head) =>
    [...inside.querySelectorAll('th button')].find((button) => button.textContent === head).click();
  let saved = null;
  page.URL.createObjectURL = (blob) => (saved = blob, 'blob:none');
  page.URL.revokeObjectURL = () => {};
  page.HTMLAnchorElement.prototype.click = function () { seen.file = this.download; };
  seen.all = look();
  set('job', 'table', 'change');
  seen.table = look();
  click('n');
  seen.up = look();
  click('n');
  seen.down = look();
  set('search', 'BLUE', 'input');
  seen.blue = look();
  at('download').click();
  seen.csv = await saved.text();
  set('search', '', 'input');
  set('outcome', 'failed', 'change');
  seen.failed = look();
  set('outcome', 'all', 'change');
  set('job', 'free', 'change');
  seen.free = look();
  click('id');
  click('id');
  seen.ids = look();
  document.getElementById('seen').textContent = btoa(unescape(encodeURIComponent(JSON.stringify(seen))));
});
</script></body></html>
)html";

std::string from_base64(const std::string& text) {
  std::string out;
  unsigned bits = 0;
  int count = 0;
  const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (const char c : text) {
    const std::size_t value = letters.find(c);
    if (value == std::string::npos) continue;
    bits = bits << 6 | static_cast<unsigned>(value);
    if ((count += 6) >= 8) out += static_cast<char>(bits >> (count -= 8) & 255);
  }
  return out;
}

/// A column of the rows, by its heading.
std::vector<std::string> column(const nlohmann::json& look, const std::string& head) {
  const auto heads = look.at("heads").get<std::vector<std::string>>();
  const auto at = static_cast<std::size_t>(std::find(heads.begin(), heads.end(), head) - heads.begin());
  std::vector<std::string> out;
  for (const auto& row : look.at("rows")) out.push_back(row.at(at));
  return out;
}

TEST(ReportPage, FieldsAreFilteredSortedAndSaved) {
  if (browser().empty()) GTEST_SKIP() << "no chromium here";
  using Texts = std::vector<std::string>;
  const Workplace place;
  const std::string image = Workplace::images().front();
  const auto item = [&](const char* id, const char* color, int n) {
    return fmt::format(
        "{{id: '{}', image: {}, question: '{}?', response_format: {{type: json_schema, json_schema: "
        "{{schema: {{type: object, properties: {{color: {{const: {}}}, n: {{const: {}}}, note: "
        "{{const: '=1+1'}}}}, required: [color, n, note]}}}}}}}}",
        id, image, color, color, n);
  };
  const std::string manifest = place.write(
      "m.yaml", "model: " + Workplace::demo("model") + "\ndatabase: r.db\njobs:\n" +
                    "  - {name: table, task: vqa, items: [" + item("+a", "red", -5) + ", " +
                    item("b", "blue", 12) + ", " + item("c", "blue", 7) +
                    ", {id: gone, image: nowhere.png, question: 'red?'}]}\n" +
                    "  - {name: free, task: vqa, question: 'what is it?', items: [{id: x, image: " + image +
                    "}, {id: y, image: " + image + "}]}\n");
  ASSERT_EQ(program("run -q " + manifest).code, 1);
  ASSERT_EQ(program("report " + place.path("r.db") + " -o " + place.path("report.html")).code, 0);
  const std::string page = dom(place, place.write("hands.html", kHands), "",
                               "--disable-web-security --allow-file-access-from-files");
  const std::size_t begin = page.find("<pre id=\"seen\">") + 15;
  const std::string text = from_base64(page.substr(begin, page.find("</pre>", begin) - begin));
  ASSERT_FALSE(text.empty()) << page.substr(0, 2000);
  const auto seen = nlohmann::json::parse(text);
  EXPECT_EQ(seen["all"]["count"], "6 of 6 items");
  EXPECT_EQ(seen["all"]["heads"][1], "id") << "not all that is shown has fields";
  EXPECT_EQ(seen["table"]["count"], "4 of 6 items");
  EXPECT_EQ(seen["table"]["heads"], (Texts{"image", "color", "n", "note", "id", "job", "question", "answer",
                                           "references", "correct", "ms"}));
  EXPECT_EQ(column(seen["table"], "n"), (Texts{"-5", "12", "7", ""}));
  EXPECT_EQ(column(seen["up"], "n"), (Texts{"-5", "7", "12", ""})) << "as numbers, and what is missing last";
  EXPECT_EQ(seen["up"]["sorted"], Texts{"n ascending"});
  EXPECT_EQ(column(seen["down"], "n"), (Texts{"12", "7", "-5", ""}));
  EXPECT_EQ(column(seen["blue"], "id"), (Texts{"b", "c"}));
  EXPECT_EQ(seen["blue"]["sorted"], Texts{"n descending"});
  EXPECT_EQ(seen["file"], "answers.csv");
  const std::string csv = seen["csv"];
  EXPECT_EQ(csv.substr(0, csv.find('\r')),
            "id,job,question,answer,references,correct,ms,error,images,color,n,note");
  EXPECT_NE(csv.find(",blue,12,'=1+1\r\n"), std::string::npos) << csv;
  EXPECT_EQ(column(seen["failed"], "id"), Texts{"gone"});
  EXPECT_EQ(seen["free"]["heads"][1], "id");
  EXPECT_EQ(seen["free"]["sorted"], Texts{}) << "the field by which rows were sorted is not shown";
  EXPECT_EQ(column(seen["ids"], "id"), (Texts{"y", "x"}));
  EXPECT_EQ(page.find("CONSOLE"), std::string::npos) << page.substr(0, 2000);
}

}  // namespace
}  // namespace mmbatch
