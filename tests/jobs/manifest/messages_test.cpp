// Messages, their image parts, and what chat templates read, in manifests.

#include <gmock/gmock.h>

#include "jobs/manifest/manifest.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;
using testing::TempFolder;

TEST(Messages, AreChecked) {
  TempFolder folder;
  const auto file = folder.write("m.yaml", R"(
jobs:
  - name: j
    task: vqa
    items:
      - image: a.png
        messages: [{role: system, content: be brief}, {role: user, content: "what?"}, {role: assistant, content: a cat}, {role: user, content: "which?"}]
      - {image: a.png, messages: [{role: usr, content: x}]}
      - {image: a.png, messages: [{role: user, contents: x}]}
      - {image: a.png, messages: [{role: assistant, content: x}]}
      - {image: a.png, messages: []}
      - {image: a.png, question: q, messages: [{role: user, content: x}]}
)");
  const auto items = testing::read_all(read_manifest(file));
  ASSERT_EQ(items.size(), 6u);
  ASSERT_EQ(testing::fault(items[0]), "");
  ASSERT_EQ(items[0].item->messages.size(), 4u);
  EXPECT_EQ(items[0].item->messages[1].images, 1u);
  EXPECT_EQ(items[0].item->prompt, "system: be brief\nuser: what?\nassistant: a cat\nuser: which?");
  EXPECT_THAT(testing::fault(items[1]), HasSubstr("role 'usr'"));
  EXPECT_THAT(testing::fault(items[2]), HasSubstr("did you mean 'content'?"));
  EXPECT_THAT(testing::fault(items[3]), HasSubstr("role user"));
  EXPECT_THAT(testing::fault(items[4]), HasSubstr("'messages' must be"));
  EXPECT_THAT(testing::fault(items[5]), HasSubstr("one is allowed"));
}

TEST(Messages, WhatChatTemplatesRead) {
  TempFolder folder;
  const auto read = [&](const std::string& top, const std::string& job, const std::string& items) {
    return read_manifest(folder.write(
        "m.yaml", top + "\njobs: [{task: generate, chat: true, " + job + "items: [" + items + "]}]"));
  };
  const Manifest manifest = read(
      "chat_template_kwargs: {enable_thinking: true, depth: 2}\ntemplate_time: "
      "2026-07-14T09:30:05\nreasoning_marks: none",
      "chat_template_kwargs: {enable_thinking: false}, tools: [{name: f}], reasoning_marks: [<a>, <b>], ",
      "{prompt: x, chat_template_kwargs: {depth: {x: 1}}}, {messages: [{role: developer, content: d}, {role: "
      "user, content: "
      "[{type: text, text: a}, {type: text, text: b}]}], tools: [{name: g}]}");
  const auto items = testing::read_all(manifest);
  ASSERT_EQ(testing::fault(items[0]), "");
  ASSERT_EQ(testing::fault(items[1]), "");
  EXPECT_EQ(template_variables_of(manifest, *items[0].item), R"({"depth":{"x":1},"enable_thinking":false})");
  EXPECT_EQ(tools_of(manifest, *items[0].item), R"([{"name":"f"}])");
  EXPECT_EQ(tools_of(manifest, *items[1].item), R"([{"name":"g"}])");
  EXPECT_EQ(manifest.template_time->tm_hour, 9);
  EXPECT_EQ(manifest.template_time->tm_wday, 2);
  EXPECT_EQ(manifest.jobs[0].reasoning_marks->at(1), "<b>");
  EXPECT_EQ(items[1].item->messages[0].role, "developer");
  EXPECT_EQ(items[1].item->messages[1].content, "a\nb");
  EXPECT_EQ(items[1].item->messages[1].parts, R"([{"type":"text","text":"a"},{"type":"text","text":"b"}])");
  const auto error = [&](const std::string& top, const std::string& job) {
    return testing::error_of<UsageError>([&] { read(top, job, "{prompt: x}"); });
  };
  EXPECT_THAT(error("template_time: tomorrow", ""), HasSubstr("2026-01-31T12:34:56"));
  EXPECT_THAT(error("template_time: 2026-02-30", ""), HasSubstr("'2026-02-30' is not a date"));
  EXPECT_THAT(error("reasoning_marks: [a]", ""), HasSubstr("'reasoning_marks' must be"));
  EXPECT_THAT(error("chat_template_kwargs: [a]", ""), HasSubstr("a map of names"));
  EXPECT_THAT(error("chat_template_kwargs: {tools: []}", ""), HasSubstr("keys of items"));
  EXPECT_THAT(error("", "tools: {a: b}, "), HasSubstr("'tools' must be"));
}

TEST(Messages, ImagePartsNameAnImageOrTakeTheItemsNext) {
  TempFolder folder;
  const auto file = folder.write("m.yaml", R"(
jobs:
  - name: j
    task: vqa
    items:
      - images: [a.png, b.png]
        messages: [{role: user, content: [{type: text, text: x}, {type: image}]}, {role: assistant, content: y}, {role: user, content: [{type: image}, {type: text, text: z}]}]
      - messages: [{role: user, content: [{type: image, path: c.png}, {type: text, text: x}]}]
      - {image: a.png, messages: [{role: user, content: [{type: image}, {type: image}, {type: text, text: x}]}]}
      - {image: a.png, messages: [{role: user, content: [{type: image, url: c.png}, {type: text, text: x}]}]}
)");
  const auto items = testing::read_all(read_manifest(file));
  ASSERT_EQ(testing::fault(items[0]), "");
  EXPECT_EQ(items[0].item->images.size(), 2u);
  EXPECT_EQ(items[0].item->messages[0].images, 1u);
  EXPECT_EQ(items[0].item->messages[0].parts, R"([{"type":"text","text":"x"},{"type":"image"}])");
  EXPECT_EQ(items[0].item->messages[2].images, 1u);
  EXPECT_EQ(items[0].item->messages[2].parts, "");
  ASSERT_EQ(testing::fault(items[1]), "");
  EXPECT_EQ(items[1].item->images.at(0).path, folder / "c.png");
  EXPECT_THAT(testing::fault(items[2]), HasSubstr("2 image parts without an image's name, for 1 image"));
  EXPECT_THAT(testing::fault(items[3]), HasSubstr("both in and beside"));
}

}  // namespace
}  // namespace mmbatch
