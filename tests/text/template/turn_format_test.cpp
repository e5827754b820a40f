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
    EXPECT_EQ(format.render(kQuestion, {.images = 1}), row.image) << row.name;
    EXPECT_EQ(format.render(kDialogue, {.images = 1}), row.dialogue) << row.name;
    EXPECT_EQ(format.render(kSystemDialogue, {}), row.with_system) << row.name;
  }
}

// What was said stays the same when the dialogue continues: a chat computes only what is new.
TEST(TurnFormat, DialoguesGrowAtTheirEnd) {
  for (const std::string& name : TurnFormat::names()) {
    const TurnFormat format = TurnFormat::named(name);
    const std::string first = format.render(kQuestion, {.images = 2});
    const std::string dialogue = format.render(kDialogue, {.images = 2});
    EXPECT_TRUE(dialogue.starts_with(first)) << name;
    EXPECT_TRUE(dialogue.ends_with("A dog." + format.render_following("Which colour?", {.images = 2})))
        << name;
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
  EXPECT_EQ(format.render(turns, {.images = 2}), "USER: <image>\n<image>\nWhich one is larger? ASSISTANT:");
  for (const char* folder : {"llava-gqa", "llava-mqa-full"}) {
    EXPECT_EQ(format.render(turns, {.images = 2}),
              testing::expected(folder).at("two_images").at("prompt").get<std::string>());
  }
  EXPECT_EQ(TurnFormat::named("line").render(turns, {.image_placeholder = "<i>", .images = 3}),
            "<i><i><i>Which one is larger?\n");
}

TEST(TurnFormat, ImagesWhereTheContentPutsThem) {
  const TurnFormat format = TurnFormat::named("inst");
  const std::vector<Turn> turns = {{Role::user, "Compare <image> with <image>."}};
  EXPECT_EQ(format.render(turns, {.images = 2}), "[INST] Compare <image> with <image>. [/INST]");
  EXPECT_EQ(format.render(turns, {.image_placeholder = "<img>", .images = 1}),
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
      EXPECT_EQ(TurnFormat::named(name).render(turns, {.images = 1}), prompt);
    }
  };
  check("llava-gqa", "user_assistant");
  check("llava-mqa-full", "user_assistant");
  check("llava-next", "inst");
}

TEST(TurnFormat, TheEndOfSequenceIsTheModels) {
  EXPECT_EQ(TurnFormat::named("pipe_roles").render(kQuestion, {.eos = "<eos>"}),
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
  EXPECT_EQ(format.render(kQuestion, {.images = 2}), "Q: <image>\n<image>\nWhat is it?\nA:");
  EXPECT_EQ(format.render(kSystemDialogue, {.images = 1}),
            "Be brief.Q: <image>\nWhat is it?\nA: A dog.</s>Q: Which colour?\nA:");
  EXPECT_EQ(TurnFormat::from_pattern("USER: {image}\n{question} ASSISTANT:").render(kDialogue, {.images = 1}),
            rows()[0].dialogue);
  EXPECT_EQ(TurnFormat::from_pattern("<u>{question}</u>\n").render(kDialogue, {}),
            "<u>What is it?</u>\nA dog.</s><u>Which colour?</u>\n");
}

TEST(TurnPattern, ImagesWithoutAPlaceOfTheirOwn) {
  EXPECT_EQ(TurnFormat::from_pattern("Q: {question} A:").render(kQuestion, {.images = 2}),
            "Q: <image>\n<image>\nWhat is it? A:");
  EXPECT_EQ(TurnFormat::from_pattern("{image} {question}").render(kQuestion, {.images = 2}),
            "<image><image> What is it?");
  EXPECT_EQ(TurnFormat::from_pattern("{question} {image}").render(kQuestion, {.images = 1}),
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

// Programs of the shapes that published folders have, in this project's own words.
struct Template {
  const char* name;  // of the format; "" when it is none of the known ones
  const char* text;
};

const Template kTemplates[] = {
    {"user_assistant",
     R"({% for m in messages %}{% if m['role'] != 'system' %}{{ m['role'].upper() + ': ' }}{% endif %}
       {% for part in m['content'] %}{{ '<image>\n' }}{{ part['text'] + ' ' }}{% endfor %}{% endfor %}{{ 'ASSISTANT:' }})"},
    {"user_assistant", R"({{ m['role'] | upper + ': ' }}{{ m['content'] + ' ' }}{{ "ASSISTANT:" }})"},
    {"user_assistant",
     R"({{ 'USER: ' + m['content'] + ' ' }}{{ 'ASSISTANT: ' + m['content'] + eos_token }})"},
    {"user_assistant_curious_user", R"({% set system = 'A chat between a curious user and ...' %}{{ system }}
       {{ ' USER: ' + m['content'].strip() }}{{ ' ASSISTANT: ' + m['content'] + eos_token }}{{ ' ASSISTANT:' }})"},
    {"user_assistant_curious_human",
     R"({{ 'A chat between a curious human and ...' }}{{ ' USER: ' }}{{ ' ASSISTANT:' }})"},
    {"inst", R"({{ bos_token }}{{ '[INST] ' + m['content'] + ' [/INST]' }}{{ m['content'] + eos_token }})"},
    {"inst", R"({{- " [INST] " + system + "\n\n" + m["content"] + " [/INST]" }})"},
    {"inst_sys", R"({% set content = '<<SYS>>\n' + system + '\n<</SYS>>\n\n' + m['content'] %}
       {{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{{ ' ' + content + ' ' + eos_token }})"},
    {"inst_sys", R"({{ '[INST] <<SYS>>\n' + system + '\n<</SYS>>\n\n' + m['content'] + ' [/INST]' }})"},
    {"inst_sys",
     R"({% set content = "<<SYS>>\n" + system %}{{ '<<SYS>>\n' }}{{ '[INST] ' + content + ' [/INST]' }})"},
    {"sys_inst",
     R"({{ '<<SYS>>\n' + m['content'][0]['text'] + '\n<</SYS>>\n\n' }}{{ '[INST] ' }}{{ '<image>\n' }}
       {{ part['text'] }}{{ ' [/INST]' }})"},
    {"start_of_turn",
     R"({{ bos_token }}{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}
       {{ '<start_of_turn>model\n' }})"},
    {"pipe_roles",
     "{{ '<|user|>\\n' + m['content'] + eos_token }}\n{{ '<|assistant|>\\n' + m['content'] + eos_token }}"},
    {"pipe_roles", "<|user|>\n{{ m['content'] }}</s>\n<|assistant|>\n"},
    {"", R"({{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }})"},
    {"", R"({{ '<|start_header_id|>user<|end_header_id|>\n\n' + m['content'] + '<|eot_id|>' }})"},
    {"", R"({{ '<|user|>\n' + m['content'] + '<|end|>\n<|assistant|>\n' }})"},
    {"", R"({{ '<|user|>\n' + m['content'] }}{{ '<|assistant|>\n' + m['content'] + eos_token }})"},
    {"", R"({{ "[AVAILABLE_TOOLS] [" }}{{ "[INST] " + m["content"] + "[/INST]" }})"},
    {"", R"({{ '[INST]' + m['content'] + '[/INST]' }})"},
    {"", R"({{ '\nUSER: ' + m['content'] + '\nASSISTANT: ' }})"},
    {"", R"({{ '### Human: ' + m['content'] + '\n### Assistant:' }})"},
    {"", R"({% for m in messages %}{{ m['content'] }}{% endfor %})"},
    {"", ""},
};

TEST(TurnRecognition, ByWhatTheTemplateContains) {
  for (const Template& example : kTemplates) {
    const auto format = TurnFormat::recognise(example.text);
    EXPECT_EQ(format ? format->name() : "", example.name) << example.text;
  }
}

TEST(TurnRecognition, InEveryFileOfAFolder) {
  const TemporaryFolder folder;
  const auto find = [&] { return TurnFormat::find_for(folder.path(), "plain"); };
  EXPECT_EQ(find().source, TurnFormatSource::by_default);
  EXPECT_EQ(find().format.name(), "plain");
  EXPECT_EQ(find().message, "");

  const auto config = folder.path() / "tokenizer_config.json";
  write_file(config, nlohmann::json{{"chat_template", kTemplates[5].text}}.dump());
  EXPECT_EQ(find().source, TurnFormatSource::chat_template);
  EXPECT_EQ(find().format.name(), "inst");

  nlohmann::json list = nlohmann::json::array();
  list.push_back({{"name", "tool_use"}, {"template", "{{ tools }}"}});
  list.push_back({{"name", "default"}, {"template", kTemplates[11].text}});
  write_file(config, nlohmann::json{{"chat_template", list}}.dump());
  EXPECT_EQ(find().format.name(), "start_of_turn");

  write_file(folder.path() / "chat_template.json",
             nlohmann::json{{"chat_template", kTemplates[0].text}}.dump());
  EXPECT_EQ(find().format.name(), "user_assistant");

  write_file(folder.path() / "chat_template.jinja", kTemplates[12].text);
  EXPECT_EQ(find().format.name(), "pipe_roles");
}

TEST(TurnRecognition, UnknownTemplatesAreTold) {
  const TemporaryFolder folder;
  write_file(folder.path() / "chat_template.json", R"({"chat_template": "{{ '<|im_start|>' }}"})");
  const FoundTurnFormat found = TurnFormat::find_for(folder.path(), "user_assistant");
  EXPECT_EQ(found.source, TurnFormatSource::unrecognised);
  EXPECT_EQ(found.format.name(), "user_assistant");
  EXPECT_THAT(found.message, AllOf(HasSubstr("chat_template.json"), HasSubstr("turn_format"),
                                   HasSubstr("{question}, {image} and {system}")));
  write_file(folder.path() / "chat_template.json", R"({"chat_template": 3})");
  EXPECT_THROW(TurnFormat::find_for(folder.path(), "plain"), ModelError);
  write_file(folder.path() / "chat_template.json", R"({"chat_template": [3]})");
  EXPECT_THROW(TurnFormat::find_for(folder.path(), "plain"), ModelError);
}

TEST(TurnRecognition, ReferenceFoldersHaveNone) {
  for (const std::string& name : testing::kTokenizerFolders) {
    const auto found = TurnFormat::find_for(testing::kReference / name / "model", "inst");
    EXPECT_EQ(found.source, TurnFormatSource::by_default) << name;
  }
}

}  // namespace
}  // namespace mmbatch
