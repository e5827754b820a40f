#include "fusion/prompting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;
using testing::ModelFolder;
using Ids = std::vector<std::int32_t>;

Ids joined(std::initializer_list<Ids> parts) {
  Ids all;
  for (const Ids& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

TEST(Prompting, BosStandsBetweenImageAndTextWhateverTheFilesSay) {
  const ModelFolder folder("paligemma");
  const ModelFiles as_published(folder.path());
  const Ids text = as_published.tokenizer->encode("caption en\n", SpecialTokens::without);
  const std::int32_t image = as_published.spec.image_token_id;
  const Ids wanted = joined({{image, 2}, text});
  EXPECT_EQ(Prompting(as_published).encode("caption en\n", 1), wanted);
  EXPECT_EQ(Prompting(as_published).encode("caption en\n", 0), joined({{2}, text}));
  EXPECT_EQ(Prompting(as_published).encode("caption en\n", 2), joined({{image, image, 2}, text}));
  folder.edit("tokenizer_config.json", [](nlohmann::json& c) { c["add_bos_token"] = false; });
  EXPECT_EQ(Prompting(ModelFiles(folder.path())).encode("caption en\n", 1), wanted);
}

TEST(Prompting, AnImagesPlaceInTheTextIsNotOneMoreToken) {
  const ModelFolder folder("paligemma");
  const ModelFiles files(folder.path());
  const Prompting prompting(files);
  const std::int32_t image = files.spec.image_token_id;
  EXPECT_EQ(prompting.encode("<image>caption en\n", 1), prompting.encode("caption en\n", 1));
  EXPECT_EQ(prompting.encode("<image><image>caption en\n", 2), prompting.encode("caption en\n", 2));
  // Elsewhere it is where the text has it; BOS follows the last image.
  const auto part = [&](const char* text) { return files.tokenizer->encode(text, SpecialTokens::without); };
  EXPECT_EQ(prompting.encode("caption<image>en\n", 1), joined({part("caption"), {image, 2}, part("en\n")}));
  // As many as images, or none.
  const std::vector<PictureSize> one = {{64, 64}};
  EXPECT_THAT(testing::message_of<ItemError>(
                  [&] { prompting.tokens(prompting.encode("<image><image>caption en\n", 1), one); }),
              HasSubstr("2 image placeholders (<image>) for 1 image"));
}

TEST(Prompting, CountsWhatItComposes) {
  for (const char* name : {"llava-gqa", "llava-mqa-full", "llava-next", "paligemma"}) {
    const ModelFolder folder(name);
    const auto model = Model::load(folder.path());
    const Prompting prompting(model->files());
    const Message question{Role::user, "what is it?", 1};
    const Ids ids = prompting.encode(prompting.render(model->files().turn_format, {&question, 1}), 1);
    for (const auto& [width, height] : {std::pair(64, 64), {200, 40}, {31, 170}, {1, 1}}) {
      const PixelValues pixels = model->files().images->prepare(Image(width, height));
      const PixelValues* const images[] = {&pixels};
      Scratch scratch;
      const EncodedImage encoded{model->images()->encode(images, scratch).projected.front(), 1};
      const std::vector<PictureSize> size = {{width, height}};
      EXPECT_EQ(prompting.tokens(ids, size), prompting.compose(ids, {&encoded, 1})->tokens())
          << name << ' ' << width << " x " << height;
      EXPECT_LE(encoded.features->rows(), model->files().images->most_tokens());
    }
  }
}

TEST(Prompting, ImagesOfTheFirstQuestionStandWhereTheFormatHasThem) {
  const ModelFolder folder("llava-gqa");
  const ModelFiles files(folder.path());
  const Prompting prompting(files);
  const std::vector<Message> messages = {
      {Role::user, "first", 2}, {Role::assistant, "answer"}, {Role::user, "second", 1}};
  EXPECT_EQ(prompting.render(TurnFormat::named("user_assistant"), messages).text,
            "USER: <image>\n<image>\nfirst ASSISTANT: answer</s>USER: <image>\nsecond ASSISTANT:");
}

TEST(Prompting, ATemplateWritesSpecialTokensItself) {
  const ModelFolder folder("llama");
  const std::string source =
      "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}{{ strftime_now('%Y') }}";
  folder.edit("tokenizer_config.json", [&](nlohmann::json& c) { c["chat_template"] = source; });
  const ModelFiles files(folder.path());
  const Prompting prompting(files);
  const Message question{Role::user, "what is it?"};
  TemplateSettings settings;
  settings.now.tm_year = 126;
  const RenderedPrompt rendered = prompting.render(files.turn_format, {&question, 1}, settings);
  EXPECT_EQ(rendered.text, "<s>what is it?2026");
  EXPECT_EQ(prompting.encode(rendered, 0),
            files.tokenizer->encode("<s>what is it?2026", SpecialTokens::without));  // one BOS
}

TEST(Prompting, AFamilysFrameTakesTheMarksPlace) {
  const ModelFolder folder("llava-gqa");
  ModelFiles files(folder.path());
  files.spec.place = {.written = "[image]", .before = "begin ", .after = " end"};
  const Prompting prompting(files);
  const Message question{Role::user, "q", 1};
  const RenderedPrompt rendered = prompting.render(TurnFormat::named("plain"), {&question, 1});
  EXPECT_EQ(rendered.text, "[image]\nq");
  EXPECT_EQ(prompting.encode(rendered, 1), files.tokenizer->encode("begin <image> end\nq"));
}

TEST(Prompting, ATurnFormatIsANameATemplateAFileOrAPattern) {
  const ModelFolder folder("llama");
  folder.edit("tokenizer_config.json", [&](nlohmann::json& c) {
    c["chat_template"] = {{{"name", "short"}, {"template", "s"}}, {{"name", "broken"}, {"template", "{{"}}};
  });
  const ModelFiles files(folder.path());
  EXPECT_THAT(files.turn_format_warning, HasSubstr("none is the default"));
  const auto find = [&](const std::string& name) {
    return find_turn_format(files, name, folder.path(), "job 'j'");
  };
  testing::write_file(folder.path() / "own.jinja", "own");
  const Message question{Role::user, "q"};
  EXPECT_EQ(find("line").render({&question, 1}, {}), "q\n");
  EXPECT_EQ(find("short").render({&question, 1}, {}), "s");
  EXPECT_EQ(find("own.jinja").render({&question, 1}, {}), "own");
  EXPECT_EQ(find("Q {question}/").render({&question, 1}, {}), "Q q/");
  EXPECT_EQ(find("line").key(1), "line");
  EXPECT_EQ(find("Q {question}/").key(1), "Q {question}/");
  EXPECT_THAT(find("own.jinja").key(1), HasSubstr("own"));
  const auto error = [&](const std::string& name) {
    return testing::message_of<UsageError>([&] { find(name); });
  };
  EXPECT_THAT(error("nonesuch"), ::testing::AllOf(HasSubstr("job 'j'"), HasSubstr("short, broken"),
                                                  HasSubstr("user_assistant")));
  EXPECT_THAT(error("./none.jinja"), HasSubstr("no such file"));
  EXPECT_THAT(error("broken"), HasSubstr("line 1"));
}

}  // namespace
}  // namespace mmbatch
