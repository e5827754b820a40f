// A table of many rows: every answer fits its schema, and a run that is killed again and again fills the same
// tables. MMBATCH_TABLE_ITEMS says how many items (60; tests/run.sh --long: ten thousand).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

using nlohmann::json;

int items() {
  const char* wanted = std::getenv("MMBATCH_TABLE_ITEMS");
  return wanted != nullptr ? std::atoi(wanted) : 60;
}

std::string manifest(const Workplace& place) {
  const std::vector<std::string> images = Workplace::images();
  std::string lines;
  for (int i = 0; i < items(); ++i) {
    lines += json{{"id", "i" + std::to_string(i)},
                  {"image", images[static_cast<std::size_t>(i) % images.size()]},
                  {"question", "what is in image " + std::to_string(i) + "?"},
                  {"generation", {{"seed", i}}}}
                 .dump() +
             "\n";
  }
  place.write("items.jsonl", lines);
  place.write("schema.json", R"({"type": "object", "properties": {
      "name": {"type": "string", "maxLength": 20}, "price": {"type": "number", "minimum": 0, "exclusiveMaximum": 1000},
      "kind": {"enum": ["cup", "ball", "box", null]}, "day": {"type": "string", "format": "date"},
      "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]{1,6}$"}, "maxItems": 3},
      "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "integer", "minimum": 1},
        "text": {"type": "string"}}, "required": ["sku"]}}}, "required": ["name", "price", "kind", "tags", "lines"]})");
  return place.write(
      "manifest.yaml",
      "model: " + Workplace::demo("model") +
          "\ndatabase: unused.db\njobs:\n  - name: j\n    task: vqa\n    items: items.jsonl\n"
          "    response_format: {type: json_schema, json_schema: {schema: schema.json}}\n    on_length: "
          "close\n"
          "    generation: {max_new_tokens: 100, do_sample: true, temperature: 2.0, top_k: 0}\n");
}

/// The table of a database and those of its lists.
std::string tables(const std::string& database) {
  std::string all;
  for (const char* table : {"j", "j.tags", "j.lines"}) {
    const ProgramEnd end = program("query " + database + " --table " + table + " --format csv");
    EXPECT_EQ(end.code, 0) << end.text;
    all += end.text;
  }
  return all;
}

void expect_fits_listing(const std::string& answer) {
  const json value = json::parse(answer, nullptr, false);
  ASSERT_TRUE(value.is_object()) << answer;
  EXPECT_TRUE(value.at("price") >= 0 && value.at("price") < 1000) << answer;
  EXPECT_THAT((std::vector<json>{"cup", "ball", "box", nullptr}), ::testing::Contains(value.at("kind")))
      << answer;
  EXPECT_LE(value.at("tags").size(), 3u) << answer;
  for (const json& tag : value.at("tags"))
    EXPECT_THAT(tag.get<std::string>(), ::testing::MatchesRegex("[a-z]+")) << answer;
  for (const json& line : value.at("lines")) EXPECT_GE(line.at("sku").get<std::int64_t>(), 1) << answer;
}

TEST(ManyTableItems, AllFitAndKillsChangeNoTable) {
  using Clock = std::chrono::steady_clock;
  const Workplace place;
  const std::string file = manifest(place);
  const auto begin = Clock::now();
  const ProgramEnd whole = program("run -q " + file + " --database " + place.path("whole.db"));
  ASSERT_EQ(whole.code, 0) << whole.text;
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::size_t answered = 0;
  for (const json& row : rows(place.path("whole.db"))) {
    EXPECT_EQ(row["status"], "answered") << row.dump();
    expect_fits_listing(row["answer"]);
    ++answered;
  }
  EXPECT_EQ(answered, static_cast<std::size_t>(items()));

  const std::string killed = "run -q " + file + " --database " + place.path("killed.db");
  for (const double part : {0.15, 0.4, 0.25, 0.3})
    program_with("timeout -s KILL " + std::to_string(seconds * part + 0.2), killed);
  const ProgramEnd end = program(killed);
  EXPECT_EQ(end.code, 0) << end.text;
  EXPECT_EQ(tables(place.path("killed.db")), tables(place.path("whole.db")));
}

}  // namespace
}  // namespace mmbatch
