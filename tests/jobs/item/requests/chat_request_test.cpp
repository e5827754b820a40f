#include <gmock/gmock.h>

#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempFolder;

std::string request(const std::string& id, const std::string& body) {
  return R"({"custom_id": ")" + id + R"(", "method": "POST", "url": "/v1/chat/completions", "body": {)" +
         body + "}}\n";
}
const char* const kHello = R"("messages": [{"role": "user", "content": "hello"}])";

TEST(OpenAiBatch, IsAManifestByItself) {
  TempFolder folder;
  const std::string parts =
      R"("messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": [
      {"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
      {"type": "image_url", "image_url": {"url": "file:///)" +
      (folder / "im%20a.png").string().substr(1) + R"("}}]}])";
  std::string flat = parts;
  flat.erase(std::remove(flat.begin(), flat.end(), '\n'), flat.end());
  const auto file = folder.write(
      "requests.jsonl",
      request("a", std::string(kHello) +
                       R"(, "model": "m", "max_tokens": 5, "temperature": 0, "stop": "x", "n": 1)") +
          request("b", flat + R"(, "temperature": 0.5, "seed": 3)") + request("c", "\"max_tokens\": 3") +
          request("d", std::string(kHello) + R"(, "max_token": 3)") +
          request("e", std::string(kHello) + R"(, "tool_choice": "required")") +
          request("f", std::string(kHello) + R"(, "temperature": -1)") + request("a", kHello));
  const Manifest manifest = read_manifest(file, {folder.path()});
  EXPECT_EQ(manifest.database, folder / "requests.db");
  const auto items = testing::read_all(manifest);
  ASSERT_EQ(items.size(), 7u);
  EXPECT_EQ(testing::fault(items[0]), "");
  EXPECT_EQ(items[0].item->id, "a");
  EXPECT_EQ(items[0].item->task, Task::generate);
  EXPECT_EQ(items[0].item->form, PromptForm::turns);
  EXPECT_EQ(items[0].item->prompt, "hello");
  const GenerationConfig greedy = generation_of(manifest, *items[0].item, {{{"do_sample", true}}, {}});
  EXPECT_FALSE(greedy.do_sample);
  EXPECT_EQ(greedy.max_new_tokens, 5);
  EXPECT_EQ(testing::fault(items[1]), "");
  EXPECT_EQ(items[1].item->task, Task::vqa);
  ASSERT_EQ(items[1].item->images.size(), 2u);
  EXPECT_EQ(items[1].item->images[0].data, "AAAA");
  EXPECT_EQ(items[1].item->images[1].path, folder / "im a.png");
  EXPECT_EQ(items[1].item->messages[1].images, 2u);
  const GenerationConfig sampled = generation_of(manifest, *items[1].item, {});
  EXPECT_TRUE(sampled.do_sample);
  EXPECT_EQ(sampled.top_k, 0);
  EXPECT_EQ(sampled.seed, 3u);
  EXPECT_THAT(testing::fault(items[2]), HasSubstr("no 'messages'"));
  EXPECT_EQ(items[2].item->id, "c");
  EXPECT_THAT(testing::fault(items[3]), HasSubstr("did you mean 'max_tokens'?"));
  EXPECT_THAT(testing::fault(items[4]), HasSubstr("unsupported: "));
  EXPECT_THAT(testing::fault(items[5]), HasSubstr("from 0 to 2"));
  EXPECT_THAT(testing::fault(items[6]), HasSubstr("duplicate_id"));
}

TEST(OpenAiBatch, ShorterContentParts) {
  TempFolder folder;
  const auto content = [&](const std::string& id, const std::string& parts) {
    return request(id, R"("messages": [{"role": "user", "content": [)" + parts + "]}]");
  };
  const std::string png = "data:image/png;base64,AAAA";
  const auto items = testing::read_all(read_manifest(folder.write(
      "r.jsonl",
      content("a", R"({"type": "image_url", "image_url": ")" + png + R"("}, "what is it?")") +
          content("b", R"({"type": "input_image", "image_url": ")" + png +
                           R"(", "detail": "auto"}, {"type": "input_text", "text": "what is it?"})") +
          content("c", R"({"image": ")" + png + R"("}, {"text": "what is it?"})") +
          content("d", R"({"type": "image"}, "what is it?")") +
          content("e", R"({"type": "image", "image": "a.png"}, "what is it?")"))));
  for (const std::size_t i : {0, 1, 2}) {
    EXPECT_EQ(testing::fault(items[i]), "");
    ASSERT_EQ(items[i].item->images.size(), 1u) << i;
    EXPECT_EQ(items[i].item->images[0].data, "AAAA");
    EXPECT_EQ(items[i].item->messages[0].content, "what is it?");
    EXPECT_EQ(items[i].item->messages[0].images, 1u);
    EXPECT_EQ(items[i].item->messages[0].parts, "");
  }
  EXPECT_THAT(testing::fault(items[3]), HasSubstr("not 'image'"));  // of what?
  EXPECT_THAT(testing::fault(items[4]), HasSubstr("data: or file://"));
}

std::vector<std::string> faults_of(const TempFolder& folder, const std::string& lines) {
  std::vector<std::string> faults;
  for (const ReadItem& item : testing::read_all(read_manifest(folder.write("r.jsonl", lines))))
    faults.push_back(testing::fault(item));
  return faults;
}

TEST(OpenAiBatch, NoLineEndsTheRun) {
  TempFolder folder;
  const auto file = folder.write("r.jsonl",
                                 "{\"body\": {\"custom_id\": \"x\", \"messages\": []}}\n"
                                 "{\"custom_id\": {\"a\": 1}, \"body\": {}}\n"
                                 "{\"custom_id\": \"b\"}\n"
                                 "{\"custom_id\": \"c\", \"body\": 5}\n"
                                 "{\"custom_id\": null, \"body\": null}\n"
                                 "[]\n{}\n\"custom_id body\"\n{\"custom_id\": \"2\", \"bdy\": {}}\n" +
                                     request("good", kHello));
  const auto items = testing::read_all(read_manifest(file));
  ASSERT_EQ(items.size(), 10u);
  for (std::size_t i = 0; i < 9; ++i) EXPECT_NE(testing::fault(items[i]), "") << i;
  EXPECT_THAT(testing::fault(items[0]), HasSubstr("needs 'custom_id'"));
  EXPECT_EQ(items[1].item->id, "2 (no id)");
  EXPECT_EQ(items[2].item->id, "b");
  EXPECT_THAT(testing::fault(items[2]), HasSubstr("needs 'body'"));
  EXPECT_EQ(items[8].item->id, "2");
  EXPECT_EQ(testing::fault(items[9]), "");
}

TEST(OpenAiBatch, MessagesMayHaveTheFormsOfItsClients) {
  TempFolder folder;
  const auto message = [](const std::string& id, const std::string& messages) {
    return request(id, R"("messages": [)" + messages + "]");
  };
  const std::string user = R"({"role": "user", "content": "hello"})";
  const auto file = folder.write(
      "r.jsonl",
      message("a", R"({"role": "developer", "content": [{"type": "text", "text": "be brief"}]}, )" + user) +
          message("b", R"({"role": "system", "content": ""}, )" + user) +
          message("c",
                  R"({"role": "system", "content": null}, {"role": "developer", "content": "x"}, )" + user) +
          message(
              "d",
              R"({"role": "user", "content": "hello", "name": "me", "refusal": null, "tool_calls": [], "audio": null})") +
          message("e", R"({"role": "system", "content": "one"}, {"role": "developer", "content": "two"}, )" +
                           user) +
          message("f", R"({"role": "tool", "content": "x", "tool_call_id": "1"}, )" + user) +
          message(
              "g",
              R"({"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": "{\"x\": [1]}"}}]}, )" +
                  user) +
          message("h", R"({"role": "assistant", "content": "y", "reasoning": "because"}, )" + user) +
          message("i", R"({"role": "function", "content": "x"}, )" + user) +
          message("j", R"({"role": "user", "content": "x", "tool_calls": [{}]})"));
  const auto items = testing::read_all(read_manifest(file));
  ASSERT_EQ(items.size(), 10u);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(testing::fault(items[i]), "");
  EXPECT_EQ(items[0].item->messages[0].role, "system");
  EXPECT_EQ(items[1].item->messages.size(), 1u);
  EXPECT_EQ(items[2].item->messages[0].content, "x");
  EXPECT_EQ(items[4].item->messages[0].content, "one\ntwo");
  EXPECT_EQ(items[3].item->messages[0].other, "");
  EXPECT_EQ(items[5].item->messages[0].role, "tool");
  EXPECT_EQ(items[5].item->messages[0].other, R"({"tool_call_id":"1"})");
  // Arguments are an object, as templates read them.
  EXPECT_EQ(items[6].item->messages[0].other,
            R"({"tool_calls":[{"function":{"name":"f","arguments":{"x":[1]}}}],"content":null})");
  EXPECT_EQ(items[7].item->messages[0].other, R"({"reasoning_content":"because"})");
  EXPECT_THAT(testing::fault(items[8]), HasSubstr("unsupported: "));
  EXPECT_THAT(testing::fault(items[9]), HasSubstr("role assistant only"));
}

TEST(OpenAiBatch, SettingsThatAskForNothingPass) {
  TempFolder folder;
  const char* const nothing[] = {R"("response_format": {"type": "text"})",
                                 R"("tools": [])",
                                 R"("tool_choice": "none")",
                                 R"("tool_choice": "auto")",
                                 R"("logit_bias": {})",
                                 R"("modalities": ["text"])",
                                 R"("parallel_tool_calls": true)",
                                 R"("store": false)",
                                 R"("service_tier": "auto")",
                                 R"("user": "me")",
                                 R"("n": 1)",
                                 R"("stream": false)",
                                 R"("stream_options": null)",
                                 R"("stop": [])",
                                 R"("stop": null)",
                                 R"("functions": [])",
                                 R"("metadata": {"a": "b"})"};
  for (const char* body : nothing)
    EXPECT_THAT(faults_of(folder, request("a", std::string(kHello) + ", " + body)), ElementsAre("")) << body;
  const char* const something[] = {R"("tool_choice": "required")", R"("logit_bias": {"5": 1})",
                                   R"("modalities": ["text", "audio"])", R"("stream": true)"};
  for (const char* body : something) {
    EXPECT_THAT(faults_of(folder, request("a", std::string(kHello) + ", " + body)),
                ElementsAre(HasSubstr("unsupported: ")))
        << body;
  }
}

TEST(OpenAiBatch, WhatTheTemplateReads) {
  TempFolder folder;
  const auto file = folder.write(
      "r.jsonl",
      request(
          "a",
          std::string(kHello) +
              R"(, "tools": [{"type": "function"}], "chat_template_kwargs": {"b": [1, "x"], "a": false})") +
          request("b", std::string(kHello) +
                           R"(, "tools": [{}], "tool_choice": "none", "reasoning_effort": "low")") +
          request("c", std::string(kHello) + R"(, "chat_template_kwargs": {"messages": []})") +
          request("d", std::string(kHello) + R"(, "tools": [3])"));
  Manifest manifest = read_manifest(file);
  const auto items = testing::read_all(manifest);
  ASSERT_EQ(items.size(), 4u);
  EXPECT_EQ(items[0].item->tools, R"([{"type":"function"}])");
  EXPECT_EQ(template_variables_of(manifest, *items[0].item), R"({"a":false,"b":[1,"x"]})");
  EXPECT_EQ(items[1].item->tools, "");
  EXPECT_EQ(template_variables_of(manifest, *items[1].item), R"({"reasoning_effort":"low"})");
  EXPECT_THAT(testing::fault(items[2]), HasSubstr("'messages' in 'chat_template_kwargs'"));
  EXPECT_THAT(testing::fault(items[3]), HasSubstr("tool definitions"));
  // The command line is stronger than an item, and an item than its job.
  manifest.command_line_variables = {{"a", "true"}};
  manifest.jobs[0].template_variables = {{"a", "1"}, {"c", "2"}};
  EXPECT_EQ(template_variables_of(manifest, *items[0].item), R"({"a":true,"b":[1,"x"],"c":2})");
}

TEST(OpenAiBatch, AnswersAreHeldToAForm) {
  TempFolder folder;
  const auto settings = [&](const std::string& body) {
    const Manifest manifest =
        read_manifest(folder.write("r.jsonl", request("a", std::string(kHello) + ", " + body)));
    const auto items = testing::read_all(manifest);
    return items[0].error ? items[0].error->message : SettingsOfJobs(manifest, {}).of(*items[0].item)->json;
  };
  EXPECT_EQ(settings(R"("response_format": {"type": "json_object"})"),
            R"({"response_format":"json_object"})");
  EXPECT_EQ(
      settings(R"("response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": true, )"
               R"("schema": {"type": "object", "properties": {"b": {}, "a": {}}}}})"),
      R"({"response_format":"{\"type\":\"object\",\"properties\":{\"b\":{},\"a\":{}}}"})");
  EXPECT_EQ(settings(R"("structured_outputs": {"regex": "a+"})"), R"({"regex":"a+"})");
  EXPECT_EQ(settings(R"("structured_outputs": {"choice": ["a", "b"]})"), R"({"choices":["a","b"]})");
  EXPECT_THAT(settings(R"("structured_outputs": {"regex": "a", "grammar": "b"})"),
              HasSubstr("both 'regex' and"));
  EXPECT_THAT(settings(R"("structured_outputs": {"structural_tag": {}})"), HasSubstr("is not supported"));
  EXPECT_THAT(settings(R"("response_format": {"type": "yaml"})"), HasSubstr("json_schema"));
  EXPECT_THAT(settings(R"("response_format": {"type": "json_schema", "json_schema": {"name": "n"}})"),
              HasSubstr("without its 'schema'"));
  // No request names files of this machine.
  EXPECT_THAT(
      settings(R"("response_format": {"type": "json_schema", "json_schema": {"schema": "/etc/passwd"}})"),
      HasSubstr("must be a JSON Schema"));
}

TEST(OpenAiBatch, MessagesNameTheKeysOfTheRequest) {
  TempFolder folder;
  const auto fault = [&](const std::string& body) {
    return faults_of(folder, request("a", std::string(kHello) + ", " + body)).front();
  };
  EXPECT_THAT(fault(R"("max_tokens": 0)"), HasSubstr("'max_tokens' must be an integer from 1 to 2147483647"));
  EXPECT_THAT(fault(R"("max_completion_tokens": 4294967296)"), HasSubstr("'max_completion_tokens' must be"));
  EXPECT_THAT(fault(R"("n": 5000)"), HasSubstr("'n' must be"));
  EXPECT_THAT(fault(R"("stop": ["", "a"])"), HasSubstr("'stop' must be"));
  EXPECT_THAT(fault(R"("temperature": "hot")"), HasSubstr("'temperature' must be a number from 0 to 2"));
  const Manifest manifest = read_manifest(
      folder.write("r.jsonl", request("a", std::string(kHello) + R"(, "n": 2, "temperature": 0)")));
  const auto items = testing::read_all(manifest);
  EXPECT_THAT(testing::error_of<ItemError>([&] { SettingsOfJobs(manifest, {}).of(*items[0].item); }),
              HasSubstr(": n above 1 needs a 'temperature' above 0"));
}

TEST(OpenAiBatch, LinesOfAListingAreRecognisedByTheirKeys) {
  TempFolder folder;
  const auto items = testing::read_listing(
      folder, "q.jsonl",
      request("a", kHello) + "{\"id\": \"b\", \"prompt\": \"x\"}\n{\"method\": \"POST\", \"body\": {}}\n",
      "task: generate");
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(testing::fault(items[0]), "");
  EXPECT_EQ(testing::fault(items[1]), "");
  EXPECT_THAT(testing::fault(items[2]), HasSubstr("needs 'custom_id'"));
}

TEST(OpenAiBatch, FilesNeedAMediaRoot) {
  TempFolder folder;
  const auto file = folder.write(
      "r.jsonl",
      request(
          "a",
          R"("messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}])") +
          request(
              "b",
              R"("messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}])"));
  const auto items = testing::read_all(read_manifest(file));
  EXPECT_THAT(testing::fault(items[0]), HasSubstr("path_refused: "));
  EXPECT_THAT(testing::fault(items[1]), HasSubstr("unsupported: "));
}

}  // namespace
}  // namespace mmbatch
