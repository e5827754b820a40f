#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// The demo's model does not think. With words of its own as marks it does: it answers "yellow".
constexpr const char* kMarks = "reasoning_marks: [\"▁yellow\", \"▁red\"]\n";

std::vector<json> run(const Workplace& place, const std::string& top, const std::string& generation) {
  const std::string manifest =
      place.write("manifest.yaml",
                  "model: " + Workplace::demo("model") + "\ndatabase: results.db\n" + top +
                      "generation: {ignore_eos: true, " + generation +
                      "}\njobs:\n  - {name: j, task: vqa, items: [{image: " + Workplace::images().front() +
                      ", question: \"what color is the shape?\"}]}\n");
  const ProgramEnd end = program("run -q --fresh " + manifest + " --output " + place.path("out.jsonl"));
  EXPECT_EQ(end.code, 0) << end.text;
  return rows(place.path("results.db"));
}

TEST(Reasoning, StandsBesideTheAnswerWithItsOwnCount) {
  const Workplace place;
  const auto plain = run(place, "", "max_new_tokens: 6").at(0);
  EXPECT_EQ(plain["answer_tokens"], 6);
  EXPECT_EQ(plain["reasoning_tokens"], nullptr);
  // The mark, two thoughts, the closing mark that the program writes, two tokens of the answer.
  const auto thought = run(place, kMarks, "max_new_tokens: 6, max_reasoning_tokens: 2, logprobs: true").at(0);
  EXPECT_EQ(thought["reasoning_tokens"], 2);
  EXPECT_EQ(thought["answer_tokens"], 2);
  EXPECT_THAT(plain["answer"].get<std::string>(), HasSubstr(thought["reasoning"].get<std::string>()));
  // Thoughts that are not ended leave no answer.
  const auto endless = run(place, kMarks, "max_new_tokens: 6").at(0);
  EXPECT_EQ(endless["reasoning_tokens"], 5);
  EXPECT_EQ(endless["answer"], "");
  EXPECT_EQ(endless["finish_reason"], "length");
  // Words that stand in thoughts do not end the answer.
  const std::string word = endless["reasoning"].get<std::string>().substr(0, 2);
  const auto stopped = run(place, kMarks, "max_new_tokens: 6, stop_strings: [\"" + word + "\"]").at(0);
  EXPECT_EQ(stopped["reasoning"], endless["reasoning"]);
  EXPECT_EQ(stopped["finish_reason"], "length");
}

TEST(Reasoning, ChoicesAreScoredBehindTheThoughts) {
  const Workplace place;
  const auto plain = run(place, "", "choices: [yes, no]").at(0);
  const auto thought = run(place, kMarks, "choices: [yes, no], max_reasoning_tokens: 3").at(0);
  EXPECT_EQ(thought["finish_reason"], "choice");
  EXPECT_EQ(thought["reasoning_tokens"], 3);
  EXPECT_EQ(thought["prompt_tokens"], plain["prompt_tokens"]);
  EXPECT_NE(thought["logprob"], plain["logprob"]);
  const double yes = plain["probabilities"]["yes"], no = plain["probabilities"]["no"];
  EXPECT_NEAR(yes + no, 1, 1e-5);
  EXPECT_EQ(plain["answer"], yes > no ? "yes" : "no");
  // A model that does not begin with the mark is asked for its choice at once.
  const auto other = run(place, "reasoning_marks: [\"▁blue\", \"▁red\"]\n", "choices: [yes, no]").at(0);
  EXPECT_EQ(other["reasoning_tokens"], nullptr);
  EXPECT_EQ(other["logprob"], plain["logprob"]);
}

// "a yellow rectangle" is a mark and thoughts, behind which the demo's model ends.
TEST(Reasoning, AModelThatEndsWithinItsThoughtsSaysSoAndTheyAreKept) {
  const Workplace place;
  const std::string held = "--regex 'yes|no' --max-new-tokens 40";
  const std::string manifest =
      place.write("manifest.yaml", "model: " + Workplace::demo("model") +
                                       "\ndatabase: results.db\nreasoning_marks: [\"▁a\", \"▁red\"]\n"
                                       "jobs:\n  - {name: j, task: vqa, items: [{image: " +
                                       Workplace::images().front() + ", question: \"what is this?\"}]}\n");
  EXPECT_EQ(program("run -q " + held + " " + manifest).code, 1);
  const json row = rows(place.path("results.db")).at(0);
  EXPECT_EQ(row["error_code"], "answer_incomplete");
  EXPECT_THAT(row["error_message"].get<std::string>(),
              AllOf(HasSubstr("the model ended within its thoughts"), HasSubstr("enable_thinking: false"),
                    Not(HasSubstr("max_new_tokens"))));
  EXPECT_EQ(row["answer"], "");
  EXPECT_EQ(row["reasoning"], "yellow rectangle");
  EXPECT_GE(row["reasoning_tokens"], 2);
  EXPECT_EQ(row["finish_reason"], "stop");
  // Cut by the limit within them: a larger one helps.
  EXPECT_EQ(program("run -q --fresh --regex 'yes|no' --max-new-tokens 2 " + manifest).code, 1);
  const json cut = rows(place.path("results.db")).at(0);
  EXPECT_THAT(cut["error_message"].get<std::string>(), HasSubstr("a larger limit (max_new_tokens"));
  EXPECT_EQ(cut["reasoning"], "yellow");
}

TEST(Reasoning, TheClosingMarkStandsOnceBeforeChoices) {
  const Workplace place;
  // The opening mark, three thoughts, the closing one: max_new_tokens cuts before the mark, in its place, or
  // behind it.
  const std::string choices = "choices: [yes, no], max_reasoning_tokens: 3, max_new_tokens: ";
  const auto cut = run(place, kMarks, choices + "4").at(0);
  const auto at_mark = run(place, kMarks, choices + "5").at(0);
  const auto behind = run(place, kMarks, choices + "6").at(0);
  EXPECT_EQ(behind["reasoning_tokens"], 3);
  EXPECT_EQ(cut["logprob"], behind["logprob"]);
  EXPECT_EQ(at_mark["logprob"], behind["logprob"]);
}

// A model whose positions have three axes: those of thoughts go on behind an image's.
TEST(Reasoning, ChoicesAreScoredBehindThoughtsAboutAnImage) {
  const std::string folder = reference_folder("qwen3-5");
  const std::string ask = "ask --model " + folder + "/model --image " + folder +
                          "/images/wide.png --max-new-tokens 9 --choices yes --choices no 'what is it?'";
  const ProgramEnd end = program(ask);
  EXPECT_EQ(end.code, 0) << end.text;
  EXPECT_THAT(end.text, HasSubstr("[thinking]"));
  const Workplace place;
  const std::string manifest =
      place.write("manifest.yaml", "model: " + folder +
                                       "/model\ndatabase: results.db\n"
                                       "generation: {choices: [yes, no], max_new_tokens: 9}\n"
                                       "jobs:\n  - {name: j, task: vqa, items: [{image: " +
                                       folder + "/images/wide.png, question: \"what is it?\"}]}\n");
  const ProgramEnd ran = program("run -q " + manifest);
  ASSERT_EQ(ran.code, 0) << ran.text;
  const json row = rows(place.path("results.db")).at(0);
  EXPECT_EQ(row["finish_reason"], "choice");
  EXPECT_GT(row["reasoning_tokens"], 0);
}

}  // namespace
}  // namespace mmbatch
