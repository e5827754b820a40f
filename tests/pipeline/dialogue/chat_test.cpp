#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

/// Lines that chat wrote for these lines of input, stdout and stderr in order.
std::vector<std::string> chat(const Workplace& place, const std::string& input, const std::string& options) {
  const ProgramEnd outcome = program("chat --model " + Workplace::demo("model") + " " + options + " < " +
                                     place.write("input.txt", input));
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  std::vector<std::string> lines;
  std::istringstream text(outcome.text);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

/// The two counts of a line of --stats.
std::pair<int, int> prompt_and_reused(const std::string& line) {
  int prompt = -1, reused = -1;
  std::sscanf(line.c_str(), "prompt tokens %d, of them reused %d", &prompt, &reused);
  return {prompt, reused};
}

std::string with_image() {
  return "--image " + Workplace::images().front();
}

TEST(Chat, ATurnComputesOnlyWhatIsNew) {
  const Workplace place;
  const std::string questions = "what color is the shape?\nwhat shape is in the image?\nis there a shape?\n";
  const auto lines = chat(place, questions, with_image() + " --stats --block-tokens 1");
  ASSERT_EQ(lines.size(), 6u);
  int known = 0;  // tokens of the dialogue so far
  for (std::size_t turn = 0; turn < 3; ++turn) {
    EXPECT_FALSE(lines[2 * turn].empty());
    const auto [prompt, reused] = prompt_and_reused(lines[2 * turn + 1]);
    EXPECT_GT(prompt, known);
    EXPECT_GE(reused, known - 1) << lines[2 * turn + 1];  // an answer's last token was not computed
    known = prompt;
  }
  // The same without reuse, and with the usual blocks.
  for (const std::string options : {"--stats --no-prefix-sharing", "--stats"}) {
    const auto others = chat(place, questions, with_image() + " " + options);
    ASSERT_EQ(others.size(), 6u);
    for (std::size_t turn = 0; turn < 3; ++turn) EXPECT_EQ(others[2 * turn], lines[2 * turn]);
    EXPECT_EQ(prompt_and_reused(others[3]).second > 0, options == "--stats");
  }
}

TEST(Chat, AnswersAreThoseOfAJobWithTheSameMessages) {
  const Workplace place;
  const std::string questions[] = {"what color is the shape?", "is there a red shape?", "what shape is it?"};
  const auto lines =
      chat(place, questions[0] + "\n" + questions[1] + "\n\n" + questions[2] + "\n", with_image());
  ASSERT_EQ(lines.size(), 3u);
  std::string items;
  json messages = json::array();
  for (std::size_t turn = 0; turn < 3; ++turn) {
    messages.push_back({{"role", "user"}, {"content", questions[turn]}});
    items +=
        json{{"id", std::to_string(turn)}, {"image", Workplace::images().front()}, {"messages", messages}}
            .dump() +
        "\n";
    messages.push_back({{"role", "assistant"}, {"content", lines[turn]}});
  }
  place.write("items.jsonl", items);
  const std::string manifest = place.write(
      "manifest.yaml", "model: " + Workplace::demo("model") +
                           "\ndatabase: results.db\njobs:\n  - {name: j, task: vqa, items: items.jsonl}\n");
  ASSERT_EQ(program("run -q " + manifest).code, 0);
  for (const json& row : rows(place.path("results.db"))) {
    EXPECT_EQ(row["answer"], lines[std::stoul(row["id"].get<std::string>())]) << row["id"];
  }
}

TEST(Chat, CommandsAreNoQuestions) {
  const Workplace place;
  const std::string question = "what color is the shape?\n";
  const auto lines = chat(place, "/help\n" + question + "/reset\n" + question + "/resett\n/exit\n" + question,
                          with_image() + " --stats");
  const std::string all = ::testing::PrintToString(lines);
  EXPECT_THAT(all, HasSubstr("/reset forgets"));
  EXPECT_THAT(all, HasSubstr("/resett is not a command"));
  std::vector<std::string> reports;
  for (const std::string& line : lines) {
    if (line.rfind("prompt tokens", 0) == 0) reports.push_back(line);
  }
  ASSERT_EQ(reports.size(), 2u) << all;
  // After /reset the prompt is as long as the first one, and found in the cache.
  EXPECT_EQ(prompt_and_reused(reports[0]).first, prompt_and_reused(reports[1]).first);
  EXPECT_GT(prompt_and_reused(reports[1]).second, 0);
}

TEST(Chat, ACommandWithAnArgumentIsNoQuestionButAPathIs) {
  const Workplace place;
  const auto lines =
      chat(place, "/image /path/x.png\n/reset now\n/path/x.png\n/path/x.png what shape is it?\n",
           with_image() + " --stats");
  const std::string all = ::testing::PrintToString(lines);
  EXPECT_THAT(all, HasSubstr("/image is not a command"));
  EXPECT_THAT(all, HasSubstr("/reset takes no more words"));
  const auto questions = std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
    return line.rfind("prompt tokens", 0) == 0;
  });
  EXPECT_EQ(questions, 2) << all;
}

TEST(Chat, ATurnWithoutAnAnswerLeavesTheDialogueAsItWas) {
  const Workplace place;
  const std::string input = place.write(
      "input.txt", "what color is the shape?\n" + std::string(5000, 'x') + "\nis there a shape?\n");
  const ProgramEnd outcome =
      program("chat --model " + Workplace::demo("model") + " " + with_image() + " < " + input);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.text, HasSubstr("prompt_too_long"));
  const auto lines = chat(place, "what color is the shape?\nis there a shape?\n", with_image());
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_THAT(outcome.text, ::testing::StartsWith(lines[0] + "\n"));
  EXPECT_THAT(outcome.text, ::testing::EndsWith("\n" + lines[1] + "\n"));
}

// A command's options are no job of the user's.
TEST(Ask, MistakesInOptionsNameNoJob) {
  const Workplace place;
  const std::string schema = place.write("schema.json", R"({"type": "text"})");
  const std::string ask = "ask --model " + Workplace::demo("model") + " " + with_image() + " ";
  const std::vector<std::string> mistakes = {"--response-format " + schema, "--regex '['",
                                             "--turn-format nonsense",
                                             "--num-beams 2 --num-return-sequences 3"};
  for (const std::string& options : mistakes) {
    const ProgramEnd end = program(ask + options + " \"what color is the shape?\"");
    EXPECT_EQ(end.code, 2) << end.text;
    EXPECT_THAT(end.text, ::testing::Not(HasSubstr("job"))) << options;
    EXPECT_THAT(end.text, ::testing::StartsWith("mmbatch: ")) << options;
    EXPECT_THAT(end.text, ::testing::Not(::testing::StartsWith("mmbatch: :"))) << options;
  }
}

TEST(Ask, SaysWhichOptionsHaveNoEffect) {
  const std::vector<std::pair<std::string, std::string>> idle = {
      {"--temperature 3", "'temperature' has no effect: without do_sample: true answers are the likeliest"},
      {"--top-p 0.1 --seed 3", "'top_p' has no effect"},
      {"--length-penalty 3", "'length_penalty' has no effect: it is for num_beams above 1"},
      {"--whitespace compact",
       "'whitespace' has no effect: it is for answers that are JSON, by a response_format"}};
  for (const auto& [options, note] : idle) {
    const std::string model = " --model " + Workplace::demo("model") + " --max-new-tokens 2 " + options;
    const ProgramEnd ask = program("ask" + model + " " + with_image() + " \"what is it?\"");
    EXPECT_EQ(ask.code, 0) << ask.text;
    EXPECT_THAT(ask.text, HasSubstr(note));
    EXPECT_THAT(program("generate" + model + " once").text, HasSubstr(note));
    EXPECT_THAT(program("chat" + model + " < /dev/null").text, HasSubstr(note));
  }
  const ProgramEnd sampled = program("ask --model " + Workplace::demo("model") + " " + with_image() +
                                     " --do-sample true --temperature 3 \"what is it?\"");
  EXPECT_THAT(sampled.text, ::testing::Not(HasSubstr("no effect")));
}

TEST(Ask, RefusesABudgetThatTheModelsImagesCannotKeepTo) {
  for (const char* command : {"ask", "chat"}) {
    const ProgramEnd end = program(command + std::string(" --model ") + Workplace::demo("model") + " " +
                                   with_image() + " --min-image-tokens 4 " +
                                   (command == std::string("ask") ? "\"what is it?\"" : "< /dev/null"));
    EXPECT_EQ(end.code, 2) << end.text;
    EXPECT_THAT(end.text, ::testing::StartsWith("mmbatch: a budget of image tokens or pixels is set, but"))
        << command;
  }
}

TEST(Ask, MistakesInFilesOfOptionsNameTheFile) {
  const Workplace place;
  const std::string schema = place.write("schema.json", R"({"properties": {"a": {"type": "text"}}})");
  const std::string grammar = place.write("answer.gbnf", "root ::= other");
  const std::string ask = "ask --model " + Workplace::demo("model") + " " + with_image() + " ";
  const ProgramEnd of_schema = program(ask + "--response-format " + schema + " \"what is it?\"");
  EXPECT_EQ(of_schema.code, 2);
  EXPECT_THAT(of_schema.text, ::testing::StartsWith("mmbatch: " + schema +
                                                    ": /properties/a/type: expected one or a list of"));
  const ProgramEnd of_grammar = program(ask + "--grammar " + grammar + " \"what is it?\"");
  EXPECT_EQ(of_grammar.code, 2);
  EXPECT_THAT(of_grammar.text, ::testing::StartsWith("mmbatch: " + grammar + ": line 1: the rule 'other'"));
}

TEST(Ask, TakesASchemaAsRequestsHaveIt) {
  const Workplace place;
  const std::string ask = "ask --model " + Workplace::demo("model") + " " + with_image() + " ";
  const auto answer = [&](const std::string& file) {
    return program(ask + "--response-format " + place.write("format.json", file) + " \"what is it?\"");
  };
  const std::string schema = R"({"const": "a circle"})";
  for (const std::string& file :
       {schema, R"({"type": "json_schema", "json_schema": {"name": "n", "schema": )" + schema + "}}",
        R"({"type": "json_schema", "name": "n", "strict": true, "schema": )" + schema + "}"}) {
    const ProgramEnd end = answer(file);
    EXPECT_EQ(end.code, 0) << file;
    EXPECT_EQ(end.text, "\"a circle\"\n") << file;
  }
  const ProgramEnd untyped = answer(R"({"json_schema": {"schema": {"type": "string"}}})");
  EXPECT_EQ(untyped.code, 2) << untyped.text;
  EXPECT_THAT(untyped.text, HasSubstr("--response-format: '" + place.path("format.json") + "': 1:1: "));
  EXPECT_THAT(untyped.text, HasSubstr("type must be text, json_object or json_schema"));
  const ProgramEnd unknown = answer(R"({"type": "json_schema", "json_schema": {"shema": {}}})");
  EXPECT_EQ(unknown.code, 2) << unknown.text;
  EXPECT_THAT(unknown.text, HasSubstr("schema"));
}

TEST(Ask, SaysWhichKeywordsOfASchemaHaveNoEffect) {
  const Workplace place;
  const std::string schema = place.write("schema.json", R"({"const": 1, "colour": 2})");
  const ProgramEnd end = program("ask --model " + Workplace::demo("model") + " " + with_image() +
                                 " --response-format " + schema + " \"what is it?\"");
  EXPECT_EQ(end.code, 0);
  EXPECT_EQ(end.text, "response_format: /colour: unknown, without effect\n1\n");
}

TEST(Ask, AConstraintWithoutRoomIsRefusedBeforeAnythingIsWritten) {
  const Workplace place;
  const std::string schema =
      place.write("schema.json", R"({"properties": {"a": {"const": "x/y/z/x/y/z"}}, "required": ["a"]})");
  const std::string ask = "ask --model " + Workplace::demo("model") + " " + with_image() + " ";
  const ProgramEnd end = program(ask + "--response-format " + schema + " --max-new-tokens 8 \"what is it?\"");
  EXPECT_EQ(end.code, 2);
  EXPECT_THAT(end.text, ::testing::StartsWith("mmbatch: the shortest answer that fits has "));
  EXPECT_THAT(end.text, ::testing::EndsWith("and max_new_tokens is 8: raise it\n"));
  // A tree of 2^40 nodes.
  std::string definitions = R"("n40": {"type": "boolean"})";
  for (int i = 0; i < 40; ++i)
    definitions += fmt::format(
        R"(, "n{}": {{"properties": {{"a": {{"$ref": "#/$defs/n{}"}}, "b": {{"$ref": "#/$defs/n{}"}}}}, "required": ["a", "b"]}})",
        i, i + 1, i + 1);
  const std::string tree =
      place.write("tree.json", R"({"$ref": "#/$defs/n0", "$defs": {)" + definitions + "}}");
  const ProgramEnd endless = program(ask + "--response-format " + tree + " \"what is it?\"");
  EXPECT_EQ(endless.code, 2);
  EXPECT_THAT(
      endless.text,
      ::testing::StartsWith("mmbatch: max_new_tokens is 128, but every answer that fits has more tokens"));
  // What is shortest in bytes has more tokens than words of the model's have.
  const ProgramEnd words = program(ask + "--regex '[a-z]{60,99}' --max-new-tokens 20 \"what is it?\"");
  EXPECT_NE(words.code, 2) << words.text;
  EXPECT_THAT(words.text, ::testing::Not(HasSubstr("max_new_tokens is")));
  const ProgramEnd just = program(ask + "--regex 'a{4}' --max-new-tokens 4 \"what is it?\"");
  EXPECT_EQ(just.code, 0) << just.text;
  EXPECT_EQ(just.text, "aaaa\n");
  EXPECT_EQ(program(ask + "--regex 'a{4}' --max-new-tokens 3 \"what is it?\"").code, 2);
}

}  // namespace
}  // namespace mmbatch
