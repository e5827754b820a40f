#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kTemplate =
    "{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}{{ flag }}"
    "{{ strftime_now('%Y') }}{% if tools %}{{ tools | tojson }}{% endif %}";

/// A text model with this template.
std::string model_with_template(const Workplace& place) {
  const std::string folder = place.path("model");
  fs::copy(std::string(MMBATCH_TEST_DATA) + "/reference/llama/model", folder);
  std::ofstream(folder + "/chat_template.jinja") << kTemplate;
  return folder;
}

TEST(Render, ATextItsImagesAndItsTokens) {
  const std::string demo = Workplace::demo("model");
  const ProgramEnd rendered =
      program("render --model " + demo + " --image " + Workplace::images().front() + " \"what is it?\"");
  EXPECT_EQ(rendered.code, 0) << rendered.text;
  EXPECT_THAT(rendered.text, HasSubstr("USER: <image>\nwhat is it? ASSISTANT:\n"));
  EXPECT_THAT(rendered.text, HasSubstr(" tokens"));
  const json tokens = json::parse(program("tokenize --json --model " + demo + " \"what is it?\"").text);
  EXPECT_EQ(tokens["count"], tokens["tokens"].size());
  EXPECT_EQ(tokens["tokens"][0]["token"], "<s>");
  // A tokenizer needs no weights.
  const Workplace place;
  fs::create_directory(place.path("tokenizer"));
  for (const char* name : {"/tokenizer.model", "/tokenizer_config.json"})
    fs::copy_file(demo + name, place.path("tokenizer") + name);
  EXPECT_EQ(
      json::parse(program("tokenize --json --model " + place.path("tokenizer") + " \"what is it?\"").text),
      tokens);
}

TEST(Render, MessagesVariablesToolsAndTime) {
  const Workplace place;
  const std::string model = model_with_template(place);
  const std::string messages = place.write(
      "m.json",
      R"({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}], "tools": [{"a": 1}]})");
  const ProgramEnd end = program("render --model " + model + " --messages " + messages +
                                 " --chat-template-kwargs '{\"flag\": true}' --template-time 2025-01-31");
  EXPECT_EQ(end.code, 0) << end.text;
  EXPECT_THAT(end.text, StartsWith("<s>system:s;user:hi;True2025[{\"a\": 1}]\n"));
  const std::string list = place.write("l.json", R"([{"role": "user", "content": "hi"}])");
  EXPECT_THAT(program("render --template-time 2024-02-01 --model " + model + " --messages " + list).text,
              StartsWith("<s>user:hi;2024\n"));
  const std::string manifest = place.write("m.yaml",
                                           "template_time: 2023-01-01\nchat_template_kwargs: {flag: "
                                           "x}\njobs:\n  - {name: a, task: generate, chat: true, "
                                           "items: [{id: i, prompt: one}, {id: j, prompt: two}]}\n");
  EXPECT_THAT(program("render --model " + model + " --manifest " + manifest + " --id j").text,
              StartsWith("<s>user:two;x2023\n"));
}

TEST(Render, ImagesThatAreNotAtHandAreNotCounted) {
  const Workplace place;
  const std::string messages = place.write(
      "m.json",
      R"([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what is it?"}]}])");
  const std::string command = "render --json --model " + Workplace::demo("model") + " --messages " + messages;
  const json without = json::parse(program(command).text);
  EXPECT_EQ(without["prompt"], "USER: <image>\nwhat is it? ASSISTANT:");
  EXPECT_EQ(without["images_not_counted"], 1);
  const json with = json::parse(program(command + " --image " + Workplace::images().front()).text);
  EXPECT_EQ(with["prompt"], without["prompt"]);
  EXPECT_EQ(with["images_not_counted"], 0);
  EXPECT_GT(with["count"], without["count"]);
}

TEST(Render, FaultsSayWhatIsWrong) {
  const Workplace place;
  const std::string model = " --model " + Workplace::demo("model");
  const auto fault = [&](const std::string& arguments) {
    const ProgramEnd end = program(arguments + model);
    EXPECT_EQ(end.code, 2) << end.text;
    return end.text;
  };
  EXPECT_THAT(fault("render"), HasSubstr("give one of a text, --messages FILE and --manifest FILE"));
  EXPECT_THAT(fault("render --messages " + place.path("none.json")), HasSubstr("no such file"));
  EXPECT_THAT(fault("render --messages " + place.write("m.json", "[\n1, }")), HasSubstr("m.json:2:"));
  EXPECT_THAT(fault("render x --chat-template-kwargs 5"), HasSubstr("expected a JSON object"));
  EXPECT_THAT(fault("render x --template-time noon"), HasSubstr("2026-01-31"));
  EXPECT_THAT(fault("render x --template-time 2026-02-30"),
              HasSubstr("'2026-02-30': not a date that there is, such as 2026-01-31"));
  const std::string manifest =
      place.write("m.yaml", "jobs:\n  - {name: a, task: generate, items: [{id: i, prompt: one}]}\n");
  EXPECT_THAT(fault("render --id j --manifest " + manifest), HasSubstr("no item 'j'"));
}

TEST(ChatTemplates, WhatTheyReadTellsAnswersApart) {
  const Workplace place;
  const std::string model = model_with_template(place);
  const std::string manifest = place.write(
      "m.yaml", "model: " + model +
                    "\ndatabase: r.db\ngeneration: {max_new_tokens: 2}\njobs:\n  - {name: a, task: "
                    "generate, chat: true, items: [{prompt: one}]}\n");
  const auto run = [&](const std::string& more) {
    const ProgramEnd end = program("run --progress plain " + manifest + more);
    EXPECT_EQ(end.code, 0) << end.text;
    return end.text;
  };
  const std::string anew = "1 answered, 0 failed", before = "0 answered, 0 failed, 1 answered before";
  EXPECT_THAT(run(""), HasSubstr(anew));
  EXPECT_THAT(run(""), HasSubstr(before));  // at another time
  EXPECT_THAT(run(" --chat-template-kwargs '{\"flag\": 1}'"), HasSubstr(anew));
  EXPECT_THAT(run(" --chat-template-kwargs '{\"flag\": 1}'"), HasSubstr(before));
  EXPECT_THAT(run(" --template-time 2001-02-03"), HasSubstr(anew));
  EXPECT_THAT(run(" --chat-template-kwargs '{\"flog\": 1}'"), HasSubstr("does not read 'flog'"));
}

TEST(Render, RefusesOptionsThatItWouldDrop) {
  const Workplace place;
  const std::string model = "render --model " + Workplace::demo("model") + " ";
  const std::string manifest = place.write(
      "m.yaml", "model: x\ndatabase: r.db\njobs: [{task: generate, items: [{id: a, prompt: one}]}]\n");
  const auto expect_refused = [](const std::string& command, const std::string& option) {
    const ProgramEnd end = program(command);
    EXPECT_EQ(end.code, 2) << end.text;
    EXPECT_THAT(end.text, HasSubstr(option + " would be dropped: ")) << command;
  };
  for (const char* option : {"--id", "--job", "--media-root"})
    expect_refused(model + option + " X \"what is it?\"", option);
  for (const char* option : {"--image", "--system", "--turn-format"})
    expect_refused(model + "--manifest " + manifest + " " + option + " X", option);
  expect_refused("tokenize --model " + Workplace::demo("model") + " --system s text", "--system");
  EXPECT_EQ(program(model + "--manifest " + manifest + " --id a").code, 0);
}

TEST(Sampling, ACheckpointThatSamplesIsTold) {
  const Workplace place;
  const std::string model = model_with_template(place);
  std::ofstream(model + "/generation_config.json") << R"({"do_sample": true, "temperature": 0.5})";
  const std::string manifest = place.write(
      "m.yaml", "model: " + model +
                    "\ndatabase: r.db\ngeneration: {max_new_tokens: 2}\njobs:\n  - {name: a, task: "
                    "generate, items: [{prompt: one}]}\n");
  EXPECT_THAT(
      program("run --progress plain " + manifest).text,
      AllOf(HasSubstr("drawn at random"), HasSubstr("temperature 0.5"), HasSubstr("--do-sample false")));
  EXPECT_THAT(program("run --progress plain " + manifest + " --do-sample false").text,
              ::testing::Not(HasSubstr("drawn at random")));
  const std::string idle = program("run --progress plain " + manifest +
                                   " --do-sample false --top-p 0.5 --temperature 0 --length-penalty 2")
                               .text;
  EXPECT_THAT(idle, AllOf(HasSubstr("'top_p' has no effect on job 'a'"),
                          HasSubstr("'length_penalty' has no effect on job 'a'")));
  EXPECT_THAT(idle, ::testing::Not(HasSubstr("'temperature' has")));
  EXPECT_THAT(program("validate " + manifest + " --do-sample false --top-p 0.5 --model " + model).text,
              HasSubstr("'top_p' has no effect"));
  const std::string scored =
      " --do-sample false --choices yes --choices no --repetition-penalty 2 --stop-strings x";
  EXPECT_THAT(program("run --fresh --progress plain " + manifest + scored).text,
              AllOf(HasSubstr("'repetition_penalty' has no effect on job 'a': its choices are scored"),
                    HasSubstr("'stop_strings' has no effect on job 'a'")));
}

}  // namespace
}  // namespace mmbatch
