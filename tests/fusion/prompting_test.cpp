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
              HasSubstr("2 image placeholders (<image>) for 1 images"));
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
  EXPECT_EQ(prompting.render(TurnFormat::named("user_assistant"), messages),
            "USER: <image>\n<image>\nfirst ASSISTANT: answer</s>USER: <image>\nsecond ASSISTANT:");
  EXPECT_EQ(prompting.render_following(TurnFormat::named("user_assistant"), "third"),
            "</s>USER: third ASSISTANT:");
}

}  // namespace
}  // namespace mmbatch
