// on_length: close: answers that come to max_new_tokens are brought to their end, with the bundled model.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/pipeline/constraint/held_items.h"

namespace mmbatch {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kSchema =
    R"({type: object, properties: {title: {type: string, minLength: 1}, size: {type: integer, minimum: 7}, notes: {type:
        array, items: {type: string}}, boxes: {type: array, minItems: 1, items: {type: object, properties: {x: {type:
        integer}, name: {type: string}}, required: [x]}}}, required: [title, size, boxes]})";

std::string closing(const std::string& generation) {
  return std::string("    response_format: {type: json_schema, json_schema: {schema: ") + kSchema +
         "}}\n    on_length: close\n    generation: {" + generation + "}\n";
}

void expect_fits(const std::string& answer) {
  const json value = json::parse(answer, nullptr, false);
  ASSERT_TRUE(value.is_object()) << answer;
  EXPECT_GE(value.at("title").get<std::string>().size(), 1u) << answer;
  EXPECT_GE(value.at("size").get<std::int64_t>(), 7) << answer;
  EXPECT_GE(value.at("boxes").size(), 1u) << answer;
  for (const json& box : value.at("boxes")) EXPECT_TRUE(box.at("x").is_number_integer()) << answer;
}

TEST(OnLengthClose, EveryAnswerFitsAndSaysThatItWasClosed) {
  std::size_t closed = 0;
  for (const char* how : {"", ", do_sample: true, temperature: 2.0, top_k: 0, num_return_sequences: 3",
                          ", num_beams: 3", ", no_repeat_ngram_size: 2"}) {
    for (const int limit : {60, 75, 110}) {
      SCOPED_TRACE(how + (" " + std::to_string(limit)));
      const Workplace place;
      const std::string file =
          held_manifest(place, closing("max_new_tokens: " + std::to_string(limit) + how), 4);
      const ProgramEnd end = program("run -q " + file);
      EXPECT_EQ(end.code, 0) << end.text;
      for (const json& row : rows(place.path("results.db"))) {
        EXPECT_EQ(row["status"], "answered") << row.dump();
        expect_fits(row["answer"]);
        EXPECT_LE(row["answer_tokens"].get<int>(), limit);
        EXPECT_EQ(row["closed"] == 1, row["finish_reason"] == "length") << row.dump();
        closed += row["closed"] == 1 ? 1 : 0;
      }
    }
  }
  EXPECT_GT(closed, 10u);
}

TEST(OnLengthClose, SameBytesInAnyCompany) {
  const Workplace place;
  const std::string file =
      held_manifest(place, closing("max_new_tokens: 80, do_sample: true, temperature: 2.0, top_k: 0"), 10);
  expect_same_in_any_company(place, file, 40);
}

TEST(OnLengthClose, ALimitBelowTheShortestAnswerIsSaid) {
  const Workplace place;
  const std::string file = held_manifest(place, closing("max_new_tokens: 5"), 1);
  const ProgramEnd checked = program("validate " + file + " --model " + Workplace::demo("model"));
  EXPECT_EQ(checked.code, 1);
  EXPECT_THAT(checked.text, AllOf(HasSubstr("note: job 'j': the shortest answer has"),
                                  HasSubstr("strings without maxLength"),
                                  HasSubstr("decode/invalid_value: the shortest answer that fits has")));
  EXPECT_EQ(program("run -q " + file).code, 1);
  const json row = rows(place.path("results.db")).at(0);
  EXPECT_EQ(row["error_code"], "invalid_value");
  EXPECT_THAT(row["error_message"].get<std::string>(),
              AllOf(HasSubstr("shortest answer"), HasSubstr("max_new_tokens is 5")));
}

TEST(OnLengthClose, WithoutItAnswersAreTheSameAndKeepTheirKeys) {
  const Workplace place;
  const std::string schema = std::string("    response_format: {type: json_schema, json_schema: {schema: ") +
                             kSchema + "}}\n    generation: {max_new_tokens: 12}\n";
  EXPECT_EQ(program("run -q " + held_manifest(place, schema, 2)).code, 1);
  EXPECT_EQ(rows(place.path("results.db")).at(0)["error_code"], "answer_incomplete");
  // Said aloud, the default changes nothing: the failure is known.
  const std::string file = held_manifest(place, "    on_length: fail\n" + schema, 2);
  const ProgramEnd again = program("run " + file);
  EXPECT_THAT(again.text, HasSubstr("0 answered"));
  EXPECT_TRUE(rows(place.path("results.db")).at(0)["closed"].is_null());
}

// The bundled model's tokenizer drops the space that an answer begins with.
TEST(OnLengthClose, AnswersThatMayBeginWithASpaceAreClosed) {
  for (const char* form : {"regex: '[a-z ]+'", "regex: '[a-z ]{3,9}'", "regex: '[\\w ]+\\.'",
                           "regex: '(red|blue| )'", "grammar: 'root ::= [a-z ]+'"}) {
    SCOPED_TRACE(form);
    const Workplace place;
    const std::string file = held_manifest(
        place, std::string("    ") + form + "\n    on_length: close\n    generation: {max_new_tokens: 9}\n",
        2);
    const ProgramEnd end = program("run -q " + file);
    EXPECT_EQ(end.code, 0) << end.text;
    for (const json& row : rows(place.path("results.db"))) EXPECT_EQ(row["status"], "answered") << row.dump();
  }
}

TEST(Constraints, ATextThatNoTokensSpellIsRefusedWhateverTheLimit) {
  for (const char* on_length : {"close", "fail"}) {
    const Workplace place;
    const std::string file =
        held_manifest(place, std::string("    regex: ' a'\n    on_length: ") + on_length + "\n", 1);
    EXPECT_EQ(program("validate " + file + " --model " + Workplace::demo("model")).code, 1);
    EXPECT_EQ(program("run -q " + file).code, 1);
    EXPECT_THAT(rows(place.path("results.db")).at(0)["error_message"].get<std::string>(),
                HasSubstr("its tokenizer drops the space that an answer begins with"));
  }
}

}  // namespace
}  // namespace mmbatch
