// Gemma 4: class defaults, what configs may not say, and the budgets of its images.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fusion/model.h"
#include "fusion/prompting.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

const std::filesystem::path kFolder = testing::kReference / "gemma4";

/// What is said of the folder's config.json with another value at a place; null removes it.
std::string complaint(const std::string& pointer, const Json& value) {
  const testing::ModelFolder folder("gemma4");
  folder.edit_config([&](Json& config) { config[Json::json_pointer(pointer)] = value; });
  try {
    const ModelFiles files(folder.path());
    return "";
  } catch (const ModelError& e) {
    return e.what();
  }
}

TEST(Gemma4, ConfigsThatDoNotFitAreNamed) {
  EXPECT_EQ(complaint("/text_config/final_logit_softcapping", nullptr), "");
  EXPECT_THAT(complaint("/text_config/use_bidirectional_attention", "all"),
              HasSubstr("use_bidirectional_attention"));
  EXPECT_THAT(complaint("/text_config/num_kv_shared_layers", 4), HasSubstr("no layer of its kind"));
  EXPECT_THAT(complaint("/text_config/vocab_size_per_layer_input", 100),
              HasSubstr("vocab_size_per_layer_input"));
  EXPECT_THAT(complaint("/text_config/per_layer_config", Json{{"1", {{"sliding_window", 3}}}}),
              HasSubstr("sliding_window"));
  EXPECT_THAT(complaint("/text_config/per_layer_config", Json{{"17", {{"head_dim", 8}}}}), HasSubstr("17"));
  EXPECT_THAT(complaint("/text_config/num_experts", nullptr), HasSubstr("num_experts"));
  EXPECT_THAT(complaint("/text_config/num_global_key_value_heads", 3),
              HasSubstr("num_global_key_value_heads"));
  EXPECT_THAT(complaint("/text_config/rope_parameters/full_attention/partial_rotary_factor", 1.5),
              HasSubstr("partial_rotary_factor"));
  EXPECT_THAT(complaint("/text_config/rope_parameters/full_attention/rope_type", "axial"),
              HasSubstr("full_attention"));
  EXPECT_THAT(complaint("/vision_config/rope_parameters/rope_type", "linear"), HasSubstr("rope_type"));
  EXPECT_THAT(complaint("/vision_config/head_dim", 6), HasSubstr("head_dim"));
  EXPECT_THAT(complaint("/vision_config/num_hidden_layers", 1), HasSubstr("would not be used"));
  EXPECT_THAT(complaint("/vision_config/patch_size", 4), HasSubstr("patch_size"));
}

TEST(Gemma4, ImagesFillOneOfAFewBudgets) {
  const ModelFiles files(kFolder / "model");
  const ImagePreparation& images = *files.images;
  EXPECT_EQ(images.most_tokens(), 70u);
  for (const auto& [width, height] : {std::pair{640, 480}, {1, 1}, {200, 3}, {33, 900}}) {
    std::size_t before = 0;
    for (const std::int64_t budget : SoftTokenPreprocessor::kBudgets) {
      const ImageBudget asked{.max_tokens = budget};
      const std::size_t tokens = images.tokens(width, height, asked);
      EXPECT_LE(tokens, static_cast<std::size_t>(budget));
      EXPECT_GE(tokens, before);
      before = tokens;
      if (budget > 140) continue;
      EXPECT_EQ(images.prepare(Image(width, height), asked).tiles.front().grid.count() / 9, tokens);
    }
  }
  for (const ImageBudget& budget : {ImageBudget{.max_tokens = 100}, ImageBudget{.min_tokens = 70},
                                    ImageBudget{.max_pixels = 100000}, ImageBudget{.min_pixels = 1}}) {
    EXPECT_THAT(testing::message_of<ItemError>([&] { images.check(budget); }),
                HasSubstr("70, 140, 280, 560 or 1120"));
  }
}

TEST(Gemma4, SoundAndVideosAreRefusedByName) {
  const ModelFiles files(kFolder / "model");
  const Prompting prompting(files);
  for (const auto& [type, what] : {std::pair{"audio", "audio"}, {"video", "a video"}}) {
    Message message{Role::user, "What is this?", 0};
    message.parts = Json::array({Json{{"type", type}}, Json{{"type", "text"}, {"text", "What?"}}}).dump();
    EXPECT_THAT(testing::message_of<ItemError>([&] {
                  prompting.encode(prompting.render(files.turn_format, {&message, 1}), 0);
                }),
                ::testing::AllOf(HasSubstr(what), HasSubstr(std::string("<|") + type + "|>")));
  }
  const auto suppressed = [&](const char* token) {
    return std::count(files.spec.suppressed.begin(), files.spec.suppressed.end(),
                      *files.tokenizer->token_id(token));
  };
  for (const char* token : {"<|audio|>", "<|video|>", "<|image|>", "<pad>"})
    EXPECT_EQ(suppressed(token), 1) << token;
}

}  // namespace
}  // namespace mmbatch
