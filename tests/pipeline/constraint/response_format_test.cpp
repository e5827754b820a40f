// Answers that are held to a form, from the manifest to the columns of the database, with the bundled model.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "pipeline/constraint/constraints.h"
#include "tests/pipeline/constraint/held_items.h"

namespace mmbatch {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kColours =
    R"({type: object, properties: {color: {enum: [red, green, blue, yellow, gray]}, size: {type: integer, minimum: 1,
        maximum: 99}, ratio: {type: number, minimum: 0, maximum: 1}, note: {type: string, maxLength: 12}, tags: {type:
        array, items: {type: string, pattern: "^[a-z]{1,6}$"}, maxItems: 3}, box: {type: object, properties: {x:
        {type: integer, minimum: 0, maximum: 9}}, required: [x]}}, required: [color, size, ratio, note, tags, box]})";

std::string with_schema(const std::string& generation) {
  return std::string("    response_format: {type: json_schema, json_schema: {name: n, schema: ") + kColours +
         "}}\n" + "    generation: {max_new_tokens: 200" + generation + "}\n";
}

/// What an answer must be, looked at without the automaton.
void expect_fits_colours(const std::string& answer) {
  const json value = json::parse(answer, nullptr, false);
  ASSERT_TRUE(value.is_object()) << answer;
  EXPECT_EQ(value.size(), 6u);
  EXPECT_THAT((std::vector<std::string>{"red", "green", "blue", "yellow", "gray"}),
              ::testing::Contains(value.at("color").get<std::string>()));
  EXPECT_TRUE(value.at("size").is_number_integer() && value.at("size") >= 1 && value.at("size") <= 99)
      << answer;
  EXPECT_TRUE(value.at("ratio") >= 0 && value.at("ratio") <= 1) << answer;
  EXPECT_LE(value.at("note").get<std::string>().size(), 48u) << answer;
  EXPECT_LE(value.at("tags").size(), 3u);
  EXPECT_TRUE(value.at("box").at("x") >= 0 && value.at("box").at("x") <= 9) << answer;
}

TEST(ResponseFormat, EveryAnswerFitsHoweverItIsMade) {
  for (const char* generation :
       {"", ", do_sample: true, temperature: 2.0, top_k: 0, seed: 3", ", num_beams: 3",
        ", do_sample: true, temperature: 2.0, num_return_sequences: 3"}) {
    SCOPED_TRACE(generation);
    const Workplace place;
    const std::string file = held_manifest(place, with_schema(generation), 20);
    const ProgramEnd end = program("run -q " + file);
    EXPECT_EQ(end.code, 0) << end.text;
    const auto all = held_answers(place.path("results.db"));
    EXPECT_GE(all.size(), 20u);
    for (const auto& [id, answer] : all) expect_fits_colours(answer);
  }
}

TEST(ResponseFormat, SameBytesWithAndWithoutForcedSteps) {
  const Workplace place;
  const std::string file =
      held_manifest(place, with_schema(", do_sample: true, temperature: 2.0, top_k: 0"), 12);
  expect_same_in_any_company(place, file, 60);
}

TEST(ResponseFormat, AnswersFillATable) {
  const Workplace place;
  const std::string file = held_manifest(place, with_schema(", do_sample: true, temperature: 2.0"), 8);
  ASSERT_EQ(program("run -q " + file).code, 0);
  const std::string database = place.path("results.db");
  const ProgramEnd table = program("query " + database + " --table j --format jsonl");
  ASSERT_EQ(table.code, 0) << table.text;
  const auto all = held_answers(database);
  std::size_t seen = 0;
  std::istringstream lines(table.text);
  for (std::string line; std::getline(lines, line); ++seen) {
    const json row = json::parse(line);
    const json answer = json::parse(all.at(row["id"].get<std::string>() + "/0"));
    EXPECT_EQ(row["color"], answer["color"]);
    EXPECT_EQ(row["size"], answer["size"]);
    EXPECT_EQ(row["box.x"], answer["box"]["x"]);
    EXPECT_EQ(row["status"], "answered");
  }
  EXPECT_EQ(seen, 8u);
  const ProgramEnd tags =
      program("query " + database + " --table j.tags --columns id,position,value --format csv");
  EXPECT_THAT(tags.text, HasSubstr("id,position,value"));
  const ProgramEnd values =
      program("query " + database + " --table j --values --columns color,box.x --format jsonl");
  std::map<std::string, int> counts, expected;
  std::istringstream counted(values.text);
  for (std::string line; std::getline(counted, line);) {
    const json row = json::parse(line);
    counts[row["field"].get<std::string>() + row["value"].dump()] = row["count"];
  }
  for (const auto& [id, answer] : all) {
    ++expected["color" + json::parse(answer)["color"].dump()];
    ++expected["box.x" + json::parse(answer)["box"]["x"].dump()];
  }
  EXPECT_EQ(counts, expected) << values.text;
  EXPECT_THAT(program("query " + database + " --table j --values --limit 1 --format csv").text,
              ::testing::StartsWith("field,value,count,percent\ncolor,"));
  EXPECT_EQ(program("query " + database + " --values").code, 2);
  EXPECT_THAT(program("query " + database + " --table k").text, HasSubstr("tables are j, j.tags"));
  EXPECT_EQ(program("query " + database + " --table j --where 'size > 200' --format csv").text,
            "run,id,status,error_code,sequence,color,size,ratio,note,box.x\n");
  for (const char* wrong : {"size > :x", "1=1) OR (1", "1 LIMIT 1"}) {
    const ProgramEnd refused = program("query " + database + " --table j --where '" + wrong + "'");
    EXPECT_EQ(refused.code, 2) << refused.text;
    EXPECT_THAT(refused.text, HasSubstr("--where")) << wrong;
  }
  EXPECT_EQ(program("query /" + database + " --table j --where 'size > 200'").code, 0) << "two slashes";
}

TEST(ResponseFormat, AnAnswerThatIsCutFailsAndIsKept) {
  const Workplace place;
  const std::string file =
      held_manifest(place, std::string("    response_format: {type: json_schema, json_schema: {schema: ") +
                               kColours + "}}\n    generation: {max_new_tokens: 8}\n");
  EXPECT_EQ(program("run -q " + file).code, 1);
  const json row = rows(place.path("results.db")).at(0);
  EXPECT_EQ(row["status"], "failed");
  EXPECT_EQ(row["error_code"], "answer_incomplete");
  EXPECT_EQ(row["finish_reason"], "length");
  EXPECT_THAT(row["error_message"].get<std::string>(), HasSubstr("after 8 tokens"));
  EXPECT_THAT(row["answer"].get<std::string>(), ::testing::StartsWith("{"));
}

TEST(ResponseFormat, AnAnswerThatTheContextCutsSaysSo) {
  const Workplace place;
  std::string words;
  for (int i = 0; i < 120; ++i) words += "is it blue ";
  const std::string file =
      place.write("manifest.yaml", "model: " + Workplace::demo("model") +
                                       "\ndatabase: results.db\njobs:\n  - {name: j, task: generate, "
                                       "items: [{prompt: \"" +
                                       words + "\"}]}\n");
  EXPECT_EQ(program("run -q --regex '[a-z]{600}' --max-new-tokens 500 " + file).code, 1);
  const json row = rows(place.path("results.db")).at(0);
  EXPECT_THAT(row["error_message"].get<std::string>(), HasSubstr("the model's context is full"));
}

// A tokenizer of word pieces puts spaces between words, and spells some texts not at all.
TEST(ResponseFormat, OfWordPieces) {
  const std::string folder = reference_folder("blip-vqa");
  const std::string model =
      " --model " + folder + "/model --image " + folder + "/images/gray.png --max-new-tokens 50 red ";
  EXPECT_EQ(program("ask" + model + "--regex yes").text, "yes\n");
  const ProgramEnd word = program("ask" + model + "--regex '[a-z ]{1,4}'");
  EXPECT_EQ(word.code, 0) << word.text;
  EXPECT_THAT(word.text, ::testing::MatchesRegex("[a-z ]+\n"));
  const ProgramEnd refused = program("ask" + model + "--regex '\"a\"'");
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.text, AllOf(HasSubstr("regex: no text that fits"), HasSubstr("word pieces")));
  const Workplace place;
  const std::string item = folder + "/images/gray.png, question: red}]}\n";
  const std::string file = place.write(
      "manifest.yaml", "model: " + folder +
                           "/model\ndatabase: results.db\njobs:\n"
                           "  - {name: a, task: vqa, regex: yes|no, items: [{image: " +
                           item + "  - {name: b, task: vqa, regex: yes\"no, items: [{image: " + item);
  const ProgramEnd ran = program("run -q " + file);
  ASSERT_EQ(ran.code, 1) << ran.text;
  EXPECT_EQ(rows(place.path("results.db"), "--job a").at(0)["finish_reason"], "stop");
  const json none = rows(place.path("results.db"), "--job b").at(0);
  EXPECT_EQ(none["error_code"], "invalid_value");
  EXPECT_THAT(none["error_message"].get<std::string>(), HasSubstr("word pieces"));
}

TEST(ResponseFormat, WhatCannotBeHeldIsSaidBeforeAModelIsLoaded) {
  const Workplace place;
  const auto refused = [&](const std::string& keys) {
    const std::string file = held_manifest(place, keys);
    const ProgramEnd end = program("run -q " + file);
    EXPECT_EQ(end.code, 2) << end.text;
    return end.text;
  };
  EXPECT_THAT(
      refused("    response_format: {type: json_schema, json_schema: {schema: {properties: {a: {not: {}}, b: "
              "{uniqueItems: true}}}}}\n"),
      AllOf(HasSubstr("job 'j'"), HasSubstr("/properties/a/not"), HasSubstr("/properties/b/uniqueItems")));
  EXPECT_THAT(refused("    response_format: {type: yaml}\n"), HasSubstr("json_schema"));
  EXPECT_THAT(refused("    response_format: {type: json_object}\n    regex: a\n"),
              HasSubstr("both 'response_format' and 'regex'"));
  EXPECT_THAT(refused("    regex: '(?=a)'\n"), HasSubstr("look-around"));
  EXPECT_THAT(refused("    regex: a\n    generation: {stop_strings: [x]}\n"), HasSubstr("stop_strings"));
  EXPECT_THAT(refused("    on_length: cut\n    regex: a\n"), HasSubstr("on_length"));
}

TEST(ResponseFormat, ItemsBringTheirOwn) {
  const Workplace place;
  const std::string image = Workplace::images().front();
  place.write(
      "items.jsonl",
      json{{"id", "a"}, {"image", image}, {"question", "q?"}, {"regex", "[0-9]{3}"}}.dump() + "\n" +
          json{{"id", "b"}, {"image", image}, {"question", "q?"}, {"regex", "("}}.dump() + "\n" +
          json{{"id", "c"}, {"image", image}, {"question", "q?"}, {"grammar", "root ::= \"x\" root | \"y\""}}
              .dump() +
          "\n");
  const std::string file = place.write("manifest.yaml", "model: " + Workplace::demo("model") +
                                                            "\ndatabase: results.db\njobs:\n"
                                                            "  - {name: j, task: vqa, items: items.jsonl}\n");
  EXPECT_EQ(program("run -q " + file + " --max-new-tokens 300").code, 1);
  std::map<std::string, json> by_id;
  for (const json& row : rows(place.path("results.db"))) by_id[row["id"]] = row;
  EXPECT_THAT(by_id["a"]["answer"].get<std::string>(), ::testing::MatchesRegex("[0-9][0-9][0-9]"));
  EXPECT_EQ(by_id["b"]["error_code"], "invalid_value");
  EXPECT_THAT(by_id["c"]["answer"].get<std::string>(), ::testing::MatchesRegex("x*y?"));
}

TEST(ResponseFormat, PlacesInACutText) {
  EXPECT_EQ(json_place(R"({"items": [{"name": "a"}, {"name": "b)"), "/items/1/name");
  EXPECT_EQ(json_place("{"), "/");
  EXPECT_EQ(json_place(R"({"a,b:{": 1, "c": 2)"), "/c");
}

}  // namespace
}  // namespace mmbatch
