// What a model with images computes has the same bits in every company, and at any chunking, in the
// precisions that people run: images and frames of videos encoded alone or together; prompts computed whole
// and alone, in chunks among others, from blocks that others have computed, and again after a preemption.
// MMBATCH_COMPANY=FOLDER takes the reference folders of that folder instead (so DeepSeek-OCR 2's, which takes
// half a minute).

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "fusion/prompting.h"
#include "tests/fusion/answers.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

using testing::answer;
using testing::Answers;
using testing::Prompts;
using testing::prompts_of;

constexpr Precision kPrecisions[] = {Precision::f32, Precision::bf16, Precision::int8};

void expect_same(const Answers& found, const Answers& expected, const std::string& where) {
  for (std::size_t i = 0; i < found.of.size(); ++i) {
    const std::optional<Answer>& one = expected.of[i % expected.of.size()];
    ASSERT_TRUE(found.of[i] && one) << where << ", prompt " << i;
    EXPECT_EQ(found.of[i]->tokens, one->tokens) << where << ", prompt " << i;
    EXPECT_EQ(found.of[i]->logprobs, one->logprobs) << where << ", prompt " << i;
  }
}

/// The smallest cache, tried in steps, that has room for each of the prompts.
EngineOptions crowded(const Model& model, const Prompts& prompts, EngineOptions options) {
  const auto longest = std::max_element(
      prompts.begin(), prompts.end(), [](const auto& a, const auto& b) { return a->tokens() < b->tokens(); });
  for (options.kv_blocks = (*longest)->tokens() / options.scheduler.block_tokens;;
       options.kv_blocks += options.kv_blocks / 4 + 1) {
    if (answer(model, {*longest}, options, 1).of.front()) return options;
  }
}

bool has_recurrent_layers(const DecoderConfig& decoder) {
  return std::any_of(decoder.layers.begin(), decoder.layers.end(),
                     [](const LayerConfig& layer) { return layer.recurrent.has_value(); });
}

Image striped(int width, int height, std::size_t seed) {
  Image image(width, height);
  for (std::size_t i = 0; i < image.rgb.size(); ++i)
    image.rgb[i] = static_cast<std::uint8_t>(i * i * 7 + i % 251 + seed * 31);
  return image;
}

/// The groups of a video's frames as they are prepared.  @param shown frames; the last one is repeated
std::vector<PixelValues> prepared_video(const ModelFiles& files, std::size_t shown) {
  const std::size_t each = files.spec.video->frames;
  std::vector<PixelValues> groups;
  for (std::size_t first = 0; first < shown; first += each) {
    std::vector<Image> group;
    for (std::size_t i = first; i < first + each; ++i)
      group.push_back(striped(60, 40, std::min(i, shown - 1)));
    groups.push_back(files.videos().prepare(group, shown, {}));
  }
  return groups;
}

/// A question about a video of so many frames, half a second apart.
std::shared_ptr<const Prompt> video_prompt(const Model& model, std::size_t shown) {
  const Prompting prompting(model.files());
  const std::vector<PixelValues> groups = prepared_video(model.files(), shown);
  ShownFrames frames{.times = {}, .length = 0.5 * static_cast<double>(shown)};
  for (std::size_t i = 0; i < shown; ++i) frames.times.push_back(0.5 * static_cast<double>(i));
  std::vector<EncodedImage> images;
  Scratch scratch;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const PixelValues* const one[] = {&groups[g]};
    images.push_back({.features = model.images()->encode(one, scratch).projected.front(),
                      .key = 1000 * shown + g,
                      .frames = {.group = g, .groups = groups.size(), .seconds = 1}});
  }
  const std::string text = "What happens here? " + model.spec().video->token + " Say it.";
  return model.compose(prompting.encode({.text = text, .video = frames}, groups.size()), images);
}

class EveryCompany : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(EveryCompany, HasTheSameBits) {
  const auto files = std::make_shared<const ModelFiles>(GetParam() / "model");
  if (files->spec.dual) GTEST_SKIP() << "a model that writes nothing";
  std::size_t preemptions = 0;
  for (const Precision precision : kPrecisions) {
    const Model model(files, precision);
    Prompts prompts = prompts_of(model, GetParam());
    ASSERT_GE(prompts.size(), 2u);
    if (files->spec.video) {
      for (const std::size_t shown : {2u, 5u}) prompts.push_back(video_prompt(model, shown));
    }
    EngineOptions alone;
    alone.kv_blocks = 2000;
    alone.scheduler.prefix_sharing = false;
    const Answers expected = answer(model, prompts, alone, 1);
    // Twice, so that the second half finds the first one's blocks.
    Prompts twice = prompts;
    twice.insert(twice.end(), prompts.begin(), prompts.end());
    for (const std::size_t block_tokens : {4u, 16u}) {
      const std::string where =
          std::string(to_string(precision)) + ", blocks of " + std::to_string(block_tokens);
      EngineOptions together;
      together.kv_blocks = 32000 / block_tokens;
      together.scheduler.block_tokens = block_tokens;
      together.scheduler.prefill_chunk = block_tokens + 1;
      expect_same(answer(model, twice, together, prompts.size()), expected, where);
      const EngineOptions smallest = crowded(model, prompts, together);
      for (const std::size_t halves : {2u, 3u}) {
        EngineOptions small = smallest;
        small.kv_blocks = small.kv_blocks * halves / 2;
        const Answers resumed = answer(model, twice, small, twice.size());
        expect_same(resumed, expected, where + ", a small cache");
        preemptions += resumed.preemptions;
      }
    }
  }
  // Recurrent layers' states are few, so that sequences wait for one instead of for blocks.
  EXPECT_TRUE(preemptions > 0 || has_recurrent_layers(files->spec.decoder));
}

TEST_P(EveryCompany, ImagesHaveTheSameRows) {
  const auto files = std::make_shared<const ModelFiles>(GetParam() / "model");
  if (!files->images) GTEST_SKIP() << "a model of texts";
  std::vector<PixelValues> pixels;
  for (const auto& [width, height] : {std::pair{40, 30}, {97, 31}, {24, 120}})
    pixels.push_back(files->images->prepare(striped(width, height, 0)));
  if (files->spec.video) {
    for (PixelValues& group : prepared_video(*files, 5)) pixels.push_back(std::move(group));
  }
  std::vector<const PixelValues*> all;
  for (const PixelValues& one : pixels) all.push_back(&one);
  for (const Precision precision : kPrecisions) {
    const Model model(files, precision);
    Scratch scratch;
    const std::vector<Features> together = model.images()->encode(all, scratch).projected;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Features one = model.images()->encode(std::span(all).subspan(i, 1), scratch).projected.front();
      ASSERT_EQ(one->rows(), together[i]->rows());
      EXPECT_EQ(std::memcmp(one->data(), together[i]->data(), one->bytes()), 0)
          << to_string(precision) << ", image " << i;
    }
  }
}

std::vector<std::filesystem::path> company_folders() {
  std::vector<std::filesystem::path> all;
  if (const char* others = std::getenv("MMBATCH_COMPANY")) {
    for (const auto& entry : std::filesystem::directory_iterator(others)) {
      if (std::filesystem::exists(entry.path() / "model" / "config.json")) all.push_back(entry.path());
    }
    std::sort(all.begin(), all.end());
    return all;
  }
  for (const char* name : {"llava-next", "paligemma", "gemma3", "gemma4", "smolvlm", "internvl", "mistral3",
                           "qwen2-5-vl", "qwen3-vl", "qwen3-5", "glm-ocr", "lfm2-vl", "paddleocr-vl",
                           "deepseek-ocr2", "blip-vqa", "florence2"})
    all.push_back(testing::kReference / name);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Folders, EveryCompany, ::testing::ValuesIn(company_folders()),
                         [](const auto& info) { return testing::test_name(info.param); });

}  // namespace
}  // namespace mmbatch
