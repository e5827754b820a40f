#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "tests/text/reference_data.h"
#include "text/template/turn_format.h"

namespace mmbatch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::TemporaryFolder;
using testing::write_file;

constexpr const char* kCuriousHuman =
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, "
    "detailed, "
    "and polite answers to the human's questions.";

const std::vector<Turn> kQuestion = {{Role::user, "What is it?"}};
const std::vector<Turn> kDialogue = {
    {Role::user, "What is it?"}, {Role::assistant, "A dog."}, {Role::user, "Which colour?"}};
const std::vector<Turn> kSystemDialogue = {{Role::system, "Be brief."},
                                           {Role::user, "What is it?"},
                                           {Role::assistant, "A dog."},
                                           {Role::user, "Which colour?"}};

/// The same with images before the first question.
std::vector<Turn> with_images(std::vector<Turn> turns, std::size_t images) {
  for (Turn& turn : turns) {
    if (turn.role != Role::user) continue;
    turn.images = images;
    break;
  }
  return turns;
}

struct Row {
  const char* name;
  std::string text;         // one question without an image
  std::string image;        // … with one
  std::string dialogue;     // two questions, one image
  std::string with_system;  // the same with a system text, no image
};

const std::vector<Row>& rows() {
  static const std::vector<Row> rows = {
      {"user_assistant", "USER: What is it? ASSISTANT:", "USER: <image>\nWhat is it? ASSISTANT:",
       "USER: <image>\nWhat is it? ASSISTANT: A dog.</s>USER: Which colour? ASSISTANT:",
       "Be brief. USER: What is it? ASSISTANT: A dog.</s>USER: Which colour? ASSISTANT:"},
      {"user_assistant_curious_human", std::string(kCuriousHuman) + " USER: What is it? ASSISTANT:",
       std::string(kCuriousHuman) + " USER: <image>\nWhat is it? ASSISTANT:",
       std::string(kCuriousHuman) +
           " USER: <image>\nWhat is it? ASSISTANT: A dog.</s>USER: Which colour? ASSISTANT:",
       "Be brief. USER: What is it? ASSISTANT: A dog.</s>USER: Which colour? ASSISTANT:"},
      {"inst", "[INST] What is it? [/INST]", "[INST] <image>\nWhat is it? [/INST]",
       "[INST] <image>\nWhat is it? [/INST] A dog.</s>[INST] Which colour? [/INST]",
       "[INST] Be brief.\n\nWhat is it? [/INST] A dog.</s>[INST] Which colour? [/INST]"},
      {"inst_sys", "[INST] What is it? [/INST]", "[INST] <image>\nWhat is it? [/INST]",
       "[INST] <image>\nWhat is it? [/INST] A dog.</s>[INST] Which colour? [/INST]",
       "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nWhat is it? [/INST] A dog.</s>[INST] Which colour? [/INST]"},
      {"sys_inst", "[INST] What is it? [/INST]", "[INST] <image>\nWhat is it? [/INST]",
       "[INST] <image>\nWhat is it? [/INST] A dog.</s>[INST] Which colour? [/INST]",
       "<<SYS>>\nBe brief.\n<</SYS>>\n\n[INST] What is it? [/INST] A dog.</s>[INST] Which colour? [/INST]"},
      {"start_of_turn", "<start_of_turn>user\nWhat is it?<end_of_turn>\n<start_of_turn>model\n",
       "<start_of_turn>user\n<image>\nWhat is it?<end_of_turn>\n<start_of_turn>model\n",
       "<start_of_turn>user\n<image>\nWhat is it?<end_of_turn>\n<start_of_turn>model\nA dog.<end_of_turn>\n"
       "<start_of_turn>user\nWhich colour?<end_of_turn>\n<start_of_turn>model\n",
       "<start_of_turn>user\nBe brief.\n\nWhat is it?<end_of_turn>\n<start_of_turn>model\nA "
       "dog.<end_of_turn>\n"
       "<start_of_turn>user\nWhich colour?<end_of_turn>\n<start_of_turn>model\n"},
      {"pipe_roles", "<|user|>\nWhat is it?</s>\n<|assistant|>\n",
       "<|user|>\n<image>\nWhat is it?</s>\n<|assistant|>\n",
       "<|user|>\n<image>\nWhat is it?</s>\n<|assistant|>\nA dog.</s>\n<|user|>\nWhich "
       "colour?</s>\n<|assistant|>\n",
       "<|system|>\nBe brief.</s>\n<|user|>\nWhat is it?</s>\n<|assistant|>\nA dog.</s>\n<|user|>\nWhich "
       "colour?</s>\n<|assistant|>\n"},
      {"line", "What is it?\n", "<image>What is it?\n", "<image>What is it?\nA dog.\nWhich colour?\n",
       "Be brief.\nWhat is it?\nA dog.\nWhich colour?\n"},
      {"plain", "What is it?", "<image>\nWhat is it?", "<image>\nWhat is it?\nA dog.\nWhich colour?",
       "Be brief.\nWhat is it?\nA dog.\nWhich colour?"},
  };
  return rows;
}

TEST(TurnFormat, EveryRow) {
  for (const Row& row : rows()) {
    const TurnFormat format = TurnFormat::named(row.name);
    EXPECT_EQ(format.name(), row.name);
    EXPECT_EQ(format.render(kQuestion, {}), row.text) << row.name;
    EXPECT_EQ(format.render(with_images(kQuestion, 1), {}), row.image) << row.name;
    EXPECT_EQ(format.render(with_images(kDialogue, 1), {}), row.dialogue) << row.name;
    EXPECT_EQ(format.render(kSystemDialogue, {}), row.with_system) << row.name;
  }
}

// What was said stays the same when the dialogue continues: a chat computes only what is new.
TEST(TurnFormat, DialoguesGrowAtTheirEnd) {
  for (const std::string& name : TurnFormat::names()) {
    const TurnFormat format = TurnFormat::named(name);
    const std::string first = format.render(with_images(kQuestion, 2), {});
    const std::string dialogue = format.render(with_images(kDialogue, 2), {});
    EXPECT_TRUE(dialogue.starts_with(first)) << name;
    EXPECT_THAT(dialogue.substr(first.size()), HasSubstr("A dog.")) << name;
  }
}

TEST(TurnFormat, UnknownNames) {
  try {
    TurnFormat::named("nonesuch");
    FAIL();
  } catch (const UsageError& e) {
    EXPECT_THAT(e.what(), AllOf(HasSubstr("nonesuch"), HasSubstr("start_of_turn")));
  }
}

TEST(TurnFormat, SeveralImages) {
  const TurnFormat format = TurnFormat::named("user_assistant");
  const std::vector<Turn> turns = {{Role::user, "Which one is larger?"}};
  EXPECT_EQ(format.render(with_images(turns, 2), {}),
            "USER: <image>\n<image>\nWhich one is larger? ASSISTANT:");
  for (const char* folder : {"llava-gqa", "llava-mqa-full"}) {
    EXPECT_EQ(format.render(with_images(turns, 2), {}),
              testing::expected(folder).at("two_images").at("prompt").get<std::string>());
  }
  EXPECT_EQ(TurnFormat::named("line").render(with_images(turns, 3), {.image_mark = "<i>"}),
            "<i><i><i>Which one is larger?\n");
}

TEST(TurnFormat, ImagesWhereTheContentPutsThem) {
  const TurnFormat format = TurnFormat::named("inst");
  const std::vector<Turn> turns = {{Role::user, "Compare <image> with <image>."}};
  EXPECT_EQ(format.render(with_images(turns, 2), {}), "[INST] Compare <image> with <image>. [/INST]");
  EXPECT_EQ(format.render(with_images(turns, 1), {.image_mark = "<img>"}),
            "[INST] <img>\nCompare <image> with <image>. [/INST]");
}

TEST(TurnFormat, ReferencePrompts) {
  const auto check = [](const char* folder, const char* name) {
    const auto cases = testing::expected(folder).at("cases");
    for (const auto& example : cases) {
      const std::string prompt = example.at("prompt");
      const std::size_t begin = prompt.find("<image>\n") + 8;
      const std::size_t end = std::min(prompt.rfind(" ASSISTANT:"), prompt.rfind(" [/INST]"));
      const std::vector<Turn> turns = {{Role::user, prompt.substr(begin, end - begin)}};
      EXPECT_EQ(TurnFormat::named(name).render(with_images(turns, 1), {}), prompt);
    }
  };
  check("llava-gqa", "user_assistant");
  check("llava-mqa-full", "user_assistant");
  check("llava-next", "inst");
}

TEST(TurnFormat, TheEndOfSequenceIsTheModels) {
  EXPECT_EQ(
      TurnFormat::named("pipe_roles").render(kQuestion, {.special_tokens = R"({"eos_token": "<eos>"})"}),
      "<|user|>\nWhat is it?<eos>\n<|assistant|>\n");
}

TEST(TurnFormat, TrimsWherePublishedTemplatesDo) {
  const std::vector<Turn> turns = {{Role::user, " \n What is it? \u3000"}};
  EXPECT_EQ(TurnFormat::named("start_of_turn").render(turns, {}),
            "<start_of_turn>user\nWhat is it?<end_of_turn>\n<start_of_turn>model\n");
  EXPECT_EQ(TurnFormat::named("inst_sys").render(turns, {}), "[INST] What is it? [/INST]");
  EXPECT_EQ(TurnFormat::named("plain").render(turns, {}), turns[0].content);
  EXPECT_EQ(TurnFormat::named("line").render(turns, {}), turns[0].content + "\n");
}

TEST(TurnFormat, OrderOfTurns) {
  const TurnFormat format = TurnFormat::named("inst");
  const auto error = [&](std::vector<Turn> turns) {
    try {
      format.render(turns, {});
    } catch (const ItemError& e) {
      EXPECT_EQ(e.code(), ErrorCode::invalid_item);
      return std::string(e.what());
    }
    return std::string("no error");
  };
  const Turn user{Role::user, "a"}, assistant{Role::assistant, "b"}, system{Role::system, "c"};
  EXPECT_THAT(error({}), HasSubstr("must be the user's"));
  EXPECT_THAT(error({system}), HasSubstr("must be the user's"));
  EXPECT_THAT(error({user, assistant}), HasSubstr("must be the user's"));
  EXPECT_THAT(error({assistant, user}), HasSubstr("message 1: expected one of the user"));
  EXPECT_THAT(error({user, user}), HasSubstr("message 2: expected one of the assistant"));
  EXPECT_THAT(error({user, system, user}), HasSubstr("message 2"));
  EXPECT_THAT(error({system, system, user}), HasSubstr("message 2"));
  EXPECT_EQ(error({system, user, assistant, user}), "no error");
}

TEST(TurnPattern, OneAndSeveralTurns) {
  const TurnFormat format = TurnFormat::from_pattern("{system}Q: {image}\n{question}\nA:");
  EXPECT_EQ(format.name(), "custom");
  EXPECT_EQ(format.render(kQuestion, {}), "Q: What is it?\nA:");
  EXPECT_EQ(format.render(with_images(kQuestion, 2), {}), "Q: <image>\n<image>\nWhat is it?\nA:");
  EXPECT_EQ(format.render(with_images(kSystemDialogue, 1), {}),
            "Be brief.Q: <image>\nWhat is it?\nA: A dog.</s>Q: Which colour?\nA:");
  EXPECT_EQ(
      TurnFormat::from_pattern("USER: {image}\n{question} ASSISTANT:").render(with_images(kDialogue, 1), {}),
      rows()[0].dialogue);
  EXPECT_EQ(TurnFormat::from_pattern("<u>{question}</u>\n").render(kDialogue, {}),
            "<u>What is it?</u>\nA dog.</s><u>Which colour?</u>\n");
}

TEST(TurnPattern, ImagesWithoutAPlaceOfTheirOwn) {
  EXPECT_EQ(TurnFormat::from_pattern("Q: {question} A:").render(with_images(kQuestion, 2), {}),
            "Q: <image>\n<image>\nWhat is it? A:");
  EXPECT_EQ(TurnFormat::from_pattern("{image} {question}").render(with_images(kQuestion, 2), {}),
            "<image><image> What is it?");
  EXPECT_EQ(TurnFormat::from_pattern("{question} {image}").render(with_images(kQuestion, 1), {}),
            "What is it? <image>");
  EXPECT_EQ(TurnFormat::from_pattern("{{{question}}}").render(kQuestion, {}), "{What is it?}");
}

TEST(TurnPattern, Errors) {
  const auto message = [](std::string_view pattern) -> std::string {
    try {
      TurnFormat::from_pattern(pattern);
    } catch (const UsageError& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(message("{question} {text}"), AllOf(HasSubstr("turn_format"), HasSubstr("'{text}'"),
                                                  HasSubstr("{question}, {image}, {system}")));
  EXPECT_THAT(message("{image}"), HasSubstr("{question} is missing"));
  EXPECT_THAT(message(""), HasSubstr("{question} is missing"));
  EXPECT_THAT(message("{question"), HasSubstr("without '}'"));
  try {
    TurnFormat::from_pattern("{question}").render(kSystemDialogue, {});
    FAIL();
  } catch (const ItemError& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_value);
    EXPECT_THAT(e.what(), HasSubstr("{system}"));
  }
}

CheckpointTemplate chat(const char* source) {
  return {"default", source, "chat.jinja"};
}

constexpr const char* kChatMl =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
constexpr const char* kParts =
    "{% for m in messages %}{% if m.role != 'system' %}{{ m.role | upper + ': ' }}{% endif %}{% for p in "
    "m.content | selectattr('type', 'equalto', "
    "'image') %}{{ '<image>\\n' }}{% endfor %}{% for p in m.content | selectattr('type', 'equalto', 'text') "
    "%}"
    "{{ p.text + ' ' }}{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}";
constexpr const char* kBoth =
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}"
    "{% if p.type == 'image' %}<pic>{% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %}|{% endfor %}";

TEST(ChatTemplates, TextsAndPartsAsTheTemplateTakesThem) {
  const TurnFormat texts = TurnFormat::from_template(chat(kChatMl));
  EXPECT_EQ(texts.name(), "chat_template");
  EXPECT_EQ(texts.render(kQuestion, {}), "<|im_start|>user\nWhat is it?<|im_end|>\n<|im_start|>assistant\n");
  // A template that knows no images gets the mark in the text.
  EXPECT_THAT(texts.render(with_images(kQuestion, 2), {}), HasSubstr("user\n<image>\n<image>\nWhat is it?<"));
  const TurnFormat parts = TurnFormat::from_template(chat(kParts));
  EXPECT_EQ(parts.render(kQuestion, {}), "USER: What is it? ASSISTANT:");
  EXPECT_EQ(parts.render(with_images(kQuestion, 2), {}), "USER: <image>\n<image>\nWhat is it? ASSISTANT:");
  const TurnFormat both = TurnFormat::from_template(chat(kBoth));
  EXPECT_EQ(both.render(with_images(kDialogue, 1), {}), "<pic>What is it?|A dog.|Which colour?|");
  // A text that places the images itself; parts that stand otherwise.
  EXPECT_EQ(both.render(with_images({{Role::user, "a <pic> b"}}, 1), {.image_mark = "<pic>"}), "a <pic> b|");
  const Turn mixed{
      .content = "ab",
      .images = 1,
      .parts = R"([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}])"};
  EXPECT_EQ(both.render({&mixed, 1}, {}), "a<pic>b|");
}

TEST(ChatTemplates, VariablesToolsAndTime) {
  const TurnFormat format =
      TurnFormat::from_template(chat("{{ bos_token }}{{ thinking }}{% if tools %}{{ tools[0].name }}{% endif "
                                     "%}{{ strftime_now('%d %b %Y') }}"
                                     "{{ messages[0].content }}{{ messages[0].extra }}"));
  EXPECT_TRUE(format.reads_clock());
  RenderOptions options;
  options.variables = R"({"thinking": "hard"})";
  options.tools = R"([{"name": "search"}])";
  options.now.tm_year = 126;
  options.now.tm_mday = 3;
  EXPECT_EQ(format.render(kQuestion, options), "<s>hardsearch03 Jan 2026What is it?");
  const Turn turn{.content = "q", .other = R"({"extra": 1})"};
  EXPECT_THAT(format.render({&turn, 1}, options), ::testing::EndsWith("q1"));
  // As transformers does: what is null is not there.
  const TurnFormat asks = TurnFormat::from_template(chat("{{ 'content' in messages[0] }}"));
  const Turn calls{.role = Role::assistant, .content = "", .other = R"({"tool_calls": [], "content": null})"};
  EXPECT_EQ(asks.render({&calls, 1}, options), "False");
  EXPECT_EQ(asks.render({&turn, 1}, options), "True");
  const CheckpointTemplate with_tools{"tool_use", "tools!", "tool_use.jinja"};
  const TurnFormat two = TurnFormat::from_template(chat("plain"), &with_tools);
  EXPECT_EQ(two.render(kQuestion, {}), "plain");
  EXPECT_EQ(two.render(kQuestion, options), "tools!");
}

// Databases of earlier versions name the built-in format that was seen in such a template.
TEST(ChatTemplates, OneThatWritesWhatABuiltInFormatWritesHasItsKey) {
  const TurnFormat chat_ml = TurnFormat::from_template(chat(kChatMl));
  EXPECT_EQ(chat_ml.key(1), "chat_template");
  const TurnFormat parts = TurnFormat::from_template(chat(kParts));
  EXPECT_EQ(parts.key(1), "user_assistant");
  EXPECT_EQ(parts.key(2), "chat_template");  // it does not end answers
  const TurnFormat inst = TurnFormat::from_template(
      chat("{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' "
           "[/INST]' }}"
           "{% elif m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}{% else %}"
           "{{ raise_exception('no system text') }}{% endif %}{% endfor %}"));
  EXPECT_EQ(inst.key(1), "inst");
  EXPECT_EQ(inst.key(2), "inst");
}

TEST(ChatTemplates, ErrorsNameTheFileOrWhatWasRaised) {
  try {
    TurnFormat::from_template(chat("{{ 1 | nonesuch }}"));
    FAIL();
  } catch (const ModelError& e) {
    EXPECT_THAT(e.what(), AllOf(HasSubstr("chat.jinja"), HasSubstr("nonesuch")));
  }
  try {
    TurnFormat::from_template(chat("{{ raise_exception('never') }}")).render(kQuestion, {});
    FAIL();
  } catch (const ItemError& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_value);
    EXPECT_STREQ(e.what(), "never");
  }
}

TEST(CheckpointTemplates, InEveryFileOfAFolder) {
  const TemporaryFolder folder;
  const auto names = [&] {
    std::string all;
    for (const CheckpointTemplate& one : read_checkpoint_templates(FolderFiles(folder.path())))
      all += one.name + "=" + one.source + ";";
    return all;
  };
  EXPECT_EQ(names(), "");
  const auto config = folder.path() / "tokenizer_config.json";
  write_file(config, R"({"chat_template": "a"})");
  EXPECT_EQ(names(), "default=a;");
  write_file(
      config,
      R"({"chat_template": [{"name": "tool_use", "template": "b"}, {"name": "default", "template": "c"}]})");
  EXPECT_EQ(names(), "tool_use=b;default=c;");
  std::filesystem::create_directory(folder.path() / "additional_chat_templates");
  write_file(folder.path() / "chat_template.jinja", "d");
  write_file(folder.path() / "additional_chat_templates" / "rag.jinja", "e");
  EXPECT_EQ(names(), "default=d;rag=e;");
  write_file(folder.path() / "chat_template.json", R"({"chat_template": "f"})");
  EXPECT_EQ(names(), "default=f;");
  write_file(folder.path() / "processor_config.json", R"({"chat_template": "g"})");
  EXPECT_EQ(names(), "default=g;");
  for (const char* broken :
       {R"({"chat_template": 3})", R"({"chat_template": [3]})", R"({"chat_template": {"a": 3}})"}) {
    write_file(folder.path() / "processor_config.json", broken);
    EXPECT_THROW(names(), ModelError) << broken;
  }
}

TEST(CheckpointTemplates, SpecialTokensUnderTheirNames) {
  const TemporaryFolder folder;
  folder.copy_tokenizer("llama");
  const auto tokenizer = load_tokenizer(folder.path());
  const auto tokens = [&] {
    return nlohmann::json::parse(read_template_tokens(FolderFiles(folder.path()), *tokenizer));
  };
  write_file(
      folder.path() / "tokenizer_config.json",
      R"({"added_tokens_decoder": {}, "bos_token": null, "eos_token": {"content": "<e>"}, "image_token": "<i>",
                 "extra_special_tokens": {"boi_token": "<b>"}, "legacy": true})");
  const nlohmann::json found = tokens();
  EXPECT_FALSE(found.contains("bos_token"));
  EXPECT_EQ(found["eos_token"], "<e>");
  EXPECT_EQ(found["image_token"], "<i>");
  EXPECT_EQ(found["boi_token"], "<b>");
  EXPECT_FALSE(found.contains("legacy"));
}

}  // namespace
}  // namespace mmbatch
