// Every reference folder through the checks of mmbatch_parity: tokens, pixels, features, logits and all ways
// to generate, within their tolerances.

#include <gtest/gtest.h>

#include "engine/base/threads.h"
#include "tests/checkers/parity_compare.h"
#include "tests/fusion/compared.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

using testing::compare;

struct Golden {
  const char* folder;
  const char* family;
  std::size_t checks = 100;  // at least
};

class GoldenTest : public ::testing::TestWithParam<Golden> {};

TEST_P(GoldenTest, AgreesWithTransformers) {
  const auto folder = testing::kReference / GetParam().folder;
  EXPECT_EQ(ModelFiles(folder / "model").spec.family, GetParam().family);
  const parity::Report report = compare(folder, folder / "model");
  EXPECT_EQ(report.failed(), 0u) << report.table();
  EXPECT_GE(report.checks(), GetParam().checks);
}

INSTANTIATE_TEST_SUITE_P(
    Folders, GoldenTest,
    ::testing::Values(
        Golden{"llava-gqa", "llava"}, Golden{"llava-mqa-full", "llava"}, Golden{"llava-next", "llava_next"},
        Golden{"paligemma", "paligemma"}, Golden{"llama", "llama"}, Golden{"llama-scaled-rope", "llama"},
        Golden{"mistral-window", "mistral"}, Golden{"gemma", "gemma"}, Golden{"gemma2", "gemma2"},
        Golden{"qwen2", "qwen2"}, Golden{"qwen3-moe", "qwen3_moe"}, Golden{"qwen3", "qwen3"},
        Golden{"qwen3-vl", "qwen3_vl"}, Golden{"qwen2-5-vl", "qwen2_5_vl"}, Golden{"siglip", "siglip", 30},
        Golden{"smolvlm", "idefics3"}, Golden{"internvl", "internvl"}, Golden{"mistral3", "mistral3"},
        Golden{"gemma3", "gemma3"}, Golden{"qwen3-5", "qwen3_5"}, Golden{"lfm2-vl", "lfm2_vl"},
        Golden{"glm-ocr", "glm_ocr"}, Golden{"paddleocr-vl", "paddleocr_vl"},
        Golden{"deepseek-ocr2", "deepseek_ocr2"}, Golden{"gemma4", "gemma4", 20},
        Golden{"blip-vqa", "blip-vqa"}, Golden{"florence2", "florence2"}, Golden{"clip", "clip", 40},
        Golden{"smollm3", "smollm3"}, Golden{"phi3", "phi3"}, Golden{"granite", "granite"},
        Golden{"olmo2", "olmo2"}, Golden{"gpt2", "gpt2"}),
    [](const auto& info) {
      std::string name = info.param.folder;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

class VideoTest : public ::testing::TestWithParam<const char*> {};

/// Videos of checkpoints that have references of their own for images.
TEST_P(VideoTest, AgreesWithTransformers) {
  const auto folder = std::filesystem::path(MMBATCH_TEST_DATA) / "video" / GetParam();
  const parity::Report report = compare(folder, testing::kReference / GetParam() / "model");
  EXPECT_EQ(report.failed(), 0u) << report.table();
  EXPECT_GE(report.checks(), 12u);
}

INSTANTIATE_TEST_SUITE_P(Folders, VideoTest,
                         ::testing::Values("qwen2-5-vl", "qwen3-vl", "qwen3-5", "smolvlm"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

/// A tensor's name as writers since 2025 have it.
std::string new_name(const std::string& name) {
  const auto moved = [&](const std::string& from, const std::string& to) {
    return name.rfind(from, 0) == 0 ? to + name.substr(from.size()) : std::string();
  };
  for (const auto& [from, to] :
       {std::pair{"language_model.model.", "model.language_model."},
        std::pair{"language_model.lm_head.", "lm_head."}, std::pair{"vision_tower.", "model.vision_tower."},
        std::pair{"multi_modal_projector.", "model.multi_modal_projector."},
        std::pair{"image_newline", "model.image_newline"}}) {
    if (const std::string to_name = moved(from, to); !to_name.empty()) return to_name;
  }
  return name;
}

TEST(Golden, NewNamesLoadLikeOldOnes) {
  for (const char* reference : {"llava-gqa", "llava-next", "paligemma"}) {
    const testing::ModelFolder folder(reference);
    const auto rename = [](nlohmann::json& names) {
      nlohmann::json renamed = nlohmann::json::object();
      for (const auto& [name, value] : names.items()) renamed[new_name(name)] = value;
      names = renamed;
    };
    for (const auto& entry : std::filesystem::directory_iterator(testing::kReference / reference / "model")) {
      if (entry.path().extension() == ".safetensors") folder.edit_tensors(entry.path().filename(), rename);
    }
    if (std::filesystem::exists(folder.path() / "model.safetensors.index.json")) {
      folder.edit("model.safetensors.index.json",
                  [&](nlohmann::json& index) { rename(index["weight_map"]); });
    }
    const parity::Report report = compare(testing::kReference / reference, folder.path());
    EXPECT_EQ(report.failed(), 0u) << reference << "\n" << report.table();
  }
}

// The checker itself: it must notice.
TEST(Golden, WhatIsWrongIsNoticed) {
  const auto folder = testing::kReference / "llava-gqa";
  const auto failed = [&](const std::function<void(parity::Reference&)>& change) {
    return compare(folder, folder / "model", change).failed();
  };
  const auto generation = [](parity::Reference& r, const std::string& key) -> parity::ExpectedGeneration& {
    for (auto& one : r.cases[0].generations) {
      if (one.key == key) return one;
    }
    throw std::logic_error(key);
  };
  EXPECT_EQ(failed([](parity::Reference& r) { r.tokenizer[3].ids.push_back(7); }), 2u);  // both ways
  EXPECT_EQ(failed([](parity::Reference& r) { *r.tokenizer[3].decoded += "x"; }), 1u);
  EXPECT_EQ(failed([](parity::Reference& r) { r.cases[1].input_ids->pop_back(); }), 1u);
  EXPECT_EQ(failed([](parity::Reference& r) { *r.cases[1].greedy_text += "x"; }), 1u);
  EXPECT_GE(failed([](parity::Reference& r) { std::swap(r.cases[0].images, r.cases[1].images); }), 4u);
  EXPECT_EQ(failed([&](parity::Reference& r) { generation(r, "greedy").sequences[0].tokens[9] ^= 1; }), 1u);
  EXPECT_EQ(failed([&](parity::Reference& r) { generation(r, "greedy").logprobs[9] += 0.01; }), 1u);
  EXPECT_EQ(failed([&](parity::Reference& r) {
              generation(r, "repetition_penalty_1.3").sequences[0].tokens[9] ^= 1;
            }),
            1u);
  EXPECT_EQ(failed([&](parity::Reference& r) {
              generation(r, "beams_3_length_penalty_1.0").sequences[1].score += 0.01;
            }),
            1u);
  EXPECT_EQ(failed([&](parity::Reference& r) {
              generation(r, "beams_4_length_penalty_0.0").sequences[3].tokens[5] ^= 1;
            }),
            1u);
  EXPECT_EQ(
      failed([&](parity::Reference& r) { generation(r, "beams_4_length_penalty_2.0").sequences.pop_back(); }),
      2u);
  EXPECT_EQ(failed([](parity::Reference&) {}), 0u);
}

TEST(Golden, WhatIsWrongIsNoticedWhereBeamsMeetTiesOnTheirWay) {
  const auto folder = testing::kReference / "llava-next";
  const auto failed = [&](const std::function<void(std::vector<parity::ExpectedSequence>&)>& change) {
    const parity::Report report = compare(folder, folder / "model", [&](parity::Reference& r) {
      for (auto& one : r.cases[1].generations) {
        if (one.key == "beams_4_length_penalty_2.0") change(one.sequences);
      }
    });
    return report.failed();
  };
  for (const std::size_t beam : {0u, 2u, 3u}) {
    for (const std::size_t position : {4u, 11u, 15u})
      EXPECT_EQ(failed([&](auto& beams) { beams[beam].tokens[position] ^= 1; }), 1u)
          << beam << ' ' << position;
  }
  EXPECT_GE(failed([](auto& beams) { beams[3].score -= 0.01; }), 1u);
}

TEST(Golden, WhatIsWrongWithADualEncoderIsNoticed) {
  const auto folder = testing::kReference / "siglip";
  const auto failed = [&](const std::function<void(parity::Reference&)>& change) {
    return compare(folder, folder / "model", change).failed();
  };
  EXPECT_EQ(failed([](parity::Reference& r) { r.labels[2].ids[3] ^= 1; }), 1u);
  EXPECT_EQ(failed([](parity::Reference& r) { r.labels[2].text = "a cat"; }), 1u + 1 + 7 + 7 + 2);
  EXPECT_EQ(failed([](parity::Reference& r) { r.cases[1].probabilities[0] += 0.001; }), 1u);
  EXPECT_EQ(failed([](parity::Reference& r) { r.cases[1].best = 0; }), 1u);
  EXPECT_EQ(failed([](parity::Reference& r) { std::swap(r.cases[0].images, r.cases[1].images); }), 8u);
  EXPECT_EQ(failed([](parity::Reference&) {}), 0u);
}

TEST(ParityCompare, ErrorsAreFound) {
  const std::vector<float> expected = {1, 2, 3, 4};
  std::vector<float> found = expected;
  const auto error = [&] { return parity::largest_error({found.data(), 2, 2}, expected); };
  EXPECT_EQ(error(), 0);
  found[2] = 2.5f;
  EXPECT_EQ(error(), 0.5);
  found[1] = NAN;
  EXPECT_FALSE((parity::Deviation{error(), 1e9}.fits()));
  EXPECT_TRUE(std::isinf(parity::largest_error({found.data(), 1, 2}, expected)));
  EXPECT_EQ(parity::feature_tolerance(expected), 4e-4);
  EXPECT_EQ(parity::feature_tolerance(std::vector<float>{0.5f}), 1e-4);
  EXPECT_EQ(parity::differing(std::vector<std::int32_t>{1, 2, 3}, std::vector<std::int32_t>{1, 5}), 2u);
}

TEST(ParityCompare, BeamsMayChangePlacesOnlyWhenTheyAreNear) {
  using Found = std::vector<parity::FoundBeam>;
  const std::vector<parity::ExpectedSequence> expected = {{{1, 2}, -1.0}, {{1, 3}, -1.002}, {{4, 5}, -1.5}};
  double last_score = -1.5;
  const auto score_of = [&](std::span<const std::int32_t>) { return last_score; };
  const auto differ = [&](const Found& found) {
    return parity::compare_beams(found, expected, 1.0, score_of).differing;
  };
  EXPECT_EQ(differ({{{1, 2}, -1.0}, {{1, 3}, -1.002}, {{4, 5}, -1.5}}), 0u);
  EXPECT_EQ(differ({{{1, 3}, -1.0}, {{1, 2}, -1.002}, {{4, 5}, -1.5}}), 0u);
  EXPECT_GT(differ({{{1, 2}, -1.0}, {{4, 5}, -1.002}, {{1, 3}, -1.5}}), 0u);
  EXPECT_GT(differ({{{1, 2}, -1.0}, {{1, 2}, -1.002}, {{4, 5}, -1.5}}), 0u);
  EXPECT_GT(differ({{{1, 2}, -1.0}, {{1, 4}, -1.002}, {{4, 5}, -1.5}}), 0u);
  EXPECT_GT(differ({{{1, 2}, -1.0}, {{1, 3}, -1.002}}), 0u);
  // As good as the last one.
  EXPECT_EQ(differ({{{1, 2}, -1.0}, {{1, 3}, -1.002}, {{6, 6}, -1.501}}), 0u);
  EXPECT_GT(differ({{{1, 2}, -1.0}, {{1, 3}, -1.002}, {{6, 6}, -1.52}}), 0u);
  EXPECT_GT(differ({{{1, 2}, -1.0}, {{1, 3}, -1.002}, {{1, 3}, -1.5}}), 0u);
  last_score = -1.6;  // the last one is not what it is said to be
  EXPECT_GT(differ({{{1, 2}, -1.0}, {{1, 3}, -1.002}, {{6, 6}, -1.501}}), 0u);
  const Found worse = {{{1, 2}, -1.0}, {{1, 3}, -1.002}, {{4, 5}, -1.52}};
  EXPECT_NEAR(parity::compare_beams(worse, expected, 1.0, score_of).score_error, 0.02, 1e-9);
}

}  // namespace
}  // namespace mmbatch
