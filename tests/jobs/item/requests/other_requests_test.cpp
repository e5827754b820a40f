// Lines of batch files to /v1/responses, /v1/completions and /v1/embeddings.

#include <gmock/gmock.h>

#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;
using testing::TempFolder;

std::string line(const std::string& id, const std::string& url, const std::string& body) {
  return R"({"custom_id": ")" + id + R"(", "method": "POST", "url": ")" + url + R"(", "body": {)" + body +
         "}}\n";
}

std::vector<ReadItem> read(const TempFolder& folder, const std::string& lines) {
  return testing::read_all(read_manifest(folder.write("r.jsonl", lines), {folder.path()}));
}

/// The settings of an item of a manifest that says nothing.
GenerationConfig settings_of(const Item& item) {
  Manifest manifest;
  manifest.jobs.emplace_back();
  return generation_of(manifest, item, {});
}

TEST(Responses, AreDialogues) {
  const TempFolder folder;
  const auto response = [](const char* id, const std::string& body) {
    return line(id, "/v1/responses", body);
  };
  const auto items = read(
      folder,
      response("a",
               R"("input": "hello", "instructions": "be brief", "max_output_tokens": 5, "temperature": 0)") +
          response("b",
                   R"("input": [{"role": "user", "content": [{"type": "input_text", "text": "what is it?"},)"
                   R"( {"type": "input_image", "image_url": "file://a.png", "detail": "auto"}]}])") +
          response(
              "c",
              R"("input": [{"role": "user", "content": "weather?"},)"
              R"( {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},)"
              R"( {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{\"x\": 1}"},)"
              R"( {"type": "function_call_output", "call_id": "1", "output": "sun"}],)"
              R"( "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],)"
              R"( "reasoning": {"effort": "low"}, "store": false, "truncation": "disabled")") +
          response("d", R"("input": "x", "text": {"format": {"type": "json_schema", "name": "n", "schema":)"
                        R"( {"type": "object", "properties": {"a": {"type": "integer"}}}}})"));
  ASSERT_EQ(items.size(), 4u);
  for (const ReadItem& item : items) EXPECT_EQ(testing::fault(item), "");
  const Item& a = *items[0].item;
  ASSERT_EQ(a.messages.size(), 2u);
  EXPECT_EQ(a.messages[0].role, "system");
  EXPECT_EQ(a.messages[0].content, "be brief");
  EXPECT_EQ(a.messages[1].content, "hello");
  EXPECT_EQ(a.request, R"({"url":"/v1/responses"})");
  EXPECT_EQ(settings_of(a).max_new_tokens, 5);
  EXPECT_EQ(items[1].item->task, Task::vqa);
  EXPECT_EQ(items[1].item->images.at(0).path, folder / "a.png");
  const Item& c = *items[2].item;
  ASSERT_EQ(c.messages.size(), 3u);
  EXPECT_THAT(c.messages[1].other, HasSubstr(R"("reasoning_content":"hm")"));
  EXPECT_THAT(c.messages[1].other, HasSubstr(R"("arguments":{"x":1})"));
  EXPECT_EQ(c.messages[2].role, "tool");
  EXPECT_EQ(c.messages[2].content, "sun");
  EXPECT_THAT(c.tools, HasSubstr(R"("function":{"name":"f")"));
  EXPECT_EQ(c.template_variables.at("reasoning_effort"), "\"low\"");
  EXPECT_THAT(settings_of(*items[3].item).response_format, HasSubstr("properties"));
}

TEST(Responses, RefuseByNameWhatTheyCannotDo) {
  const TempFolder folder;
  const auto fault = [&](const std::string& body) {
    return testing::fault(read(folder, line("a", "/v1/responses", body)).at(0));
  };
  EXPECT_THAT(fault(R"("input": "x", "previous_response_id": "resp_1")"),
              HasSubstr("'previous_response_id' in the body is not supported"));
  EXPECT_THAT(fault(R"("input": "x", "tools": [{"type": "web_search"}])"), HasSubstr("of type function"));
  EXPECT_THAT(fault(R"("input": [{"type": "item_reference", "id": "1"}])"), HasSubstr("'item_reference'"));
  EXPECT_THAT(fault(R"("input": [{"role": "user", "content": [{"type": "input_file", "file_id": "1"}]}])"),
              HasSubstr("not 'input_file'"));
  EXPECT_THAT(fault(R"("input": "x", "max_tokens": 3)"), HasSubstr("unknown key 'max_tokens' in the body"));
  EXPECT_THAT(fault(R"("input": "x", "text": "json")"), HasSubstr("'text' must be an object"));
  EXPECT_THAT(fault(R"("input": "x", "truncation": "auto")"), HasSubstr("'truncation'"));
  EXPECT_THAT(fault(R"("instructions": "x")"), HasSubstr("no 'input'"));
  EXPECT_THAT(fault(R"("input": [])"), HasSubstr("a list of {role, content}"));
  EXPECT_THAT(fault(R"("input": [5])"), HasSubstr("must be an object"));
  EXPECT_THAT(testing::fault(read(folder, line("a", "/v1/chat", "")).at(0)),
              HasSubstr("/v1/chat/completions, /v1/responses, /v1/completions, /v1/embeddings"));
}

TEST(Completions, AreRawPrompts) {
  const TempFolder folder;
  const auto items =
      read(folder, line("a", "/v1/completions",
                        R"("prompt": "Once", "max_tokens": 7, "logprobs": 2, "n": 2, "temperature": 0.5)") +
                       line("b", "/v1/completions", R"("prompt": ["Once"], "suffix": null, "echo": false)") +
                       line("c", "/v1/completions", R"("prompt": ["a", "b"])") +
                       line("d", "/v1/completions", R"("prompt": "a", "echo": true)") +
                       line("e", "/v1/completions", R"("prompt": "")"));
  EXPECT_EQ(testing::fault(items[0]), "");
  EXPECT_EQ(items[0].item->form, PromptForm::raw);
  EXPECT_EQ(items[0].item->task, Task::generate);
  EXPECT_EQ(items[0].item->prompt, "Once");
  const GenerationConfig config = settings_of(*items[0].item);
  EXPECT_EQ(config.max_new_tokens, 7);
  EXPECT_TRUE(config.logprobs);
  EXPECT_EQ(config.top_logprobs, 2);
  EXPECT_EQ(config.num_return_sequences, 2);
  EXPECT_EQ(testing::fault(items[1]), "");
  EXPECT_THAT(testing::fault(items[2]), HasSubstr("must be one text"));
  EXPECT_THAT(testing::fault(items[3]), HasSubstr("'echo' in the body is not supported"));
  EXPECT_THAT(testing::fault(items[4]), HasSubstr("prompt_empty"));
}

TEST(Embeddings, AreOfTextsAndImages) {
  const TempFolder folder;
  const auto items = read(
      folder,
      line("a", "/v1/embeddings", R"("input": "a red circle", "encoding_format": "base64")") +
          line(
              "b", "/v1/embeddings",
              R"("messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}])") +
          line("c", "/v1/embeddings", R"("input": ["a", "b", "c"])") +
          line("d", "/v1/embeddings", R"("input": "a", "dimensions": 5)") + line("e", "/v1/embeddings", "") +
          line("f", "/v1/embeddings", R"("input": ["a", ""])") +
          line("g", "/v1/embeddings", R"("input": [1, 2])") + line("h", "/v1/embeddings", R"("input": [])"));
  EXPECT_EQ(testing::fault(items[0]), "");
  EXPECT_EQ(items[0].item->task, Task::embed);
  EXPECT_EQ(items[0].item->prompt, "a red circle");
  EXPECT_THAT(items[0].item->request, HasSubstr("base64"));
  EXPECT_EQ(testing::fault(items[1]), "");
  EXPECT_EQ(items[1].item->images.size(), 1u);
  EXPECT_TRUE(items[1].item->messages.empty());
  EXPECT_EQ(testing::fault(items[2]), "");
  EXPECT_EQ(items[2].item->prompt, "a");
  EXPECT_EQ(items[2].item->further_texts, (std::vector<std::string>{"b", "c"}));
  EXPECT_THAT(testing::fault(items[5]), HasSubstr("prompt_empty"));
  EXPECT_THAT(testing::fault(items[6]), HasSubstr("lists of tokens are not supported"));
  EXPECT_THAT(testing::fault(items[7]), HasSubstr("prompt_empty"));
  EXPECT_THAT(testing::fault(items[3]), HasSubstr("'dimensions' in the body is not supported"));
  EXPECT_THAT(testing::fault(items[4]), HasSubstr("needs 'input'"));
}

}  // namespace
}  // namespace mmbatch
