// Layouts that no reference folder has: tensors under the names of transformers 5.23's own models, Pixtral 12B.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "engine/base/threads.h"
#include "fusion/model.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;
using testing::ModelFolder;

Features rows_of(const std::filesystem::path& folder, const Image& image) {
  const auto files = std::make_shared<const ModelFiles>(folder);
  const PixelValues pixels = files->images->prepare(image);
  const PixelValues* one = &pixels;
  Scratch scratch;
  return Model(files).images()->encode(std::span(&one, 1), scratch).projected.front();
}

Image picture() {
  Image image(70, 50);
  for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<std::uint8_t>(i * 31 % 253);
  return image;
}

/// Tensors without "vision_model." in their names.
void without_vision_model(Json& header) {
  Json renamed;
  for (const auto& [name, tensor] : header.items()) {
    std::string to = name;
    const std::string part = "vision_model.";
    if (const auto at = to.find(part); at != std::string::npos) to.erase(at, part.size());
    renamed[to] = tensor;
  }
  header = std::move(renamed);
}

TEST(Layouts, TowersWithoutVisionModelInTheirNames) {
  for (const char* name : {"gemma3", "llava-mqa-full", "paligemma"}) {
    const ModelFolder folder(name);
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      if (entry.path().extension() == ".safetensors")
        folder.edit_tensors(entry.path().filename().string(), without_vision_model);
    }
    if (std::filesystem::exists(folder.path() / "model.safetensors.index.json")) {
      folder.edit("model.safetensors.index.json", [](Json& index) { without_vision_model(index["weight_map"]); });
    }
    const Features found = rows_of(folder.path(), picture());
    const Features expected = rows_of(testing::kReference / name / "model", picture());
    ASSERT_EQ(found->rows(), expected->rows()) << name;
    EXPECT_EQ(std::memcmp(found->data(), expected->data(), found->bytes()), 0) << name;
  }
}

/// Mistral 3's folder as LLaVA with Pixtral's tower, whose patches are not merged.
struct PixtralFolder : ModelFolder {
  PixtralFolder();
};

PixtralFolder::PixtralFolder() : ModelFolder("mistral3") {
  edit_config([](Json& config) {
    config["architectures"] = {"LlavaForConditionalGeneration"};
    config["model_type"] = "llava";
    config["vision_feature_select_strategy"] = "full";
    config["image_seq_length"] = 1;
    config["multimodal_projector_bias"] = false;
    config.erase("spatial_merge_size");
  });
  edit("processor_config.json", [](Json& processor) { processor.erase("spatial_merge_size"); });
}

TEST(Layouts, PixtralIsLlavaWithRowsThatEndInMarks) {
  const PixtralFolder folder;
  const ModelFiles files(folder.path());
  EXPECT_EQ(files.spec.family, "llava");
  EXPECT_EQ(files.spec.image_token, "[IMG]");
  // 70 x 50 pixels are 5 x 4 patches of 14, each of which is one row.
  EXPECT_EQ(files.images->tokens(70, 50), 20u);
  EXPECT_EQ(rows_of(folder.path(), picture())->rows(), 20u);
  EXPECT_TRUE(files.unknown_keys.empty());
}

TEST(Layouts, PixtralHasNoClassTokenToLeaveOut) {
  const PixtralFolder folder;
  folder.edit_config([](Json& config) { config["vision_feature_select_strategy"] = "default"; });
  EXPECT_THAT(testing::message_of<ModelError>([&] { const ModelFiles files(folder.path()); }),
              HasSubstr("vision_feature_select_strategy"));
}

}  // namespace
}  // namespace mmbatch
