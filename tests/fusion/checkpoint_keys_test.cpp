// Keys of a checkpoint's files: honoured, without effect, or refused by name; what is not known is reported.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "fusion/family.h"
#include "fusion/keys/known_keys.h"
#include "fusion/model.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ModelFolder;
using ::testing::Not;
using Json = nlohmann::json;

ModelFiles files_after(const std::string& reference, const std::string& file,
                       const std::function<void(Json&)>& change) {
  const ModelFolder folder(reference);
  folder.edit(file, change);
  return ModelFiles(folder.path());
}

std::string error_after(const std::string& reference, const std::string& file,
                        const std::function<void(Json&)>& change) {
  return testing::message_of<ModelError>([&] { files_after(reference, file, change); });
}

/// The same for one key.
std::string error_with(const std::string& reference, const std::string& file, const std::string& pointer,
                       const Json& value) {
  return error_after(reference, file, [&](Json& c) { c[Json::json_pointer(pointer)] = value; });
}

RopeConfig rope_of(const std::function<void(Json&)>& change) {
  return *files_after("llama", "config.json", change).spec.decoder.layers.front().attention.rope;
}

TEST(CheckpointKeys, OfEveryReferenceFolderAreKnown) {
  for (const auto& entry : std::filesystem::directory_iterator(testing::kReference)) {
    const auto model = entry.path() / "model";
    if (!std::filesystem::exists(model / "config.json")) continue;
    EXPECT_THAT(ModelFiles(model).unknown_keys, IsEmpty()) << entry.path();
  }
  EXPECT_THAT(ModelFiles(MMBATCH_DEMO "/model").unknown_keys, IsEmpty());
}

TEST(CheckpointKeys, TokensOfTheFamilyAreThoseOfTheTokenizer) {
  EXPECT_THAT(error_with("paligemma", "config.json", "/image_token_index", 5),
              HasSubstr("does not have '<image>' as token 5"));
  EXPECT_THAT(error_with("florence2", "config.json", "/image_token_id", 5),
              HasSubstr("does not have '<image>' as token 5"));
  EXPECT_THAT(
      error_after("blip-vqa", "config.json", [](Json& c) { c["text_config"].erase("bos_token_id"); }),
      HasSubstr("key 'text_config.bos_token_id': missing; its default 30522 is outside the vocabulary"));
}

TEST(CheckpointKeys, UnknownOnesAreReportedOnce) {
  const auto notes = [](const std::string& file) {
    return files_after("llava-gqa", file, [](Json& c) { c["colour_of_the_sky"] = "blue"; }).unknown_keys;
  };
  for (const char* file :
       {"config.json", "preprocessor_config.json", "generation_config.json", "tokenizer_config.json"})
    EXPECT_THAT(notes(file), ElementsAre(AllOf(HasSubstr(file), HasSubstr("'colour_of_the_sky'")))) << file;
}

TEST(CheckpointKeys, WhatChangesResultsIsRefusedByName) {
  const std::vector<std::tuple<std::string, std::string, Json>> refused = {
      {"config.json", "/text_config/attention_multiplier", 0.5},
      {"config.json", "/text_config/sliding_window", 8},
      {"config.json", "/text_config/final_logit_softcapping", 30.0},
      {"config.json", "/text_config/use_qk_norm", true},
      {"config.json", "/vision_config/qkv_bias_kind", "none"},
      {"config.json", "/text_config/use_bidirectional_attention", true},
      {"config.json", "/text_config/is_causal", false},
      {"generation_config.json", "/suppress_tokens", Json::array({3})},
      {"generation_config.json", "/guidance_scale", 1.5},
      {"generation_config.json", "/new_penalty", 1.5},
      {"generation_config.json", "/bad_words_ids", Json::array({Json::array({3})})},
      {"preprocessor_config.json", "/do_pad", true},
      {"preprocessor_config.json", "/do_flip_channel_order", true},
      {"preprocessor_config.json", "/image_scale_range", 2},
      {"tokenizer_config.json", "/split_special_tokens", true},
      {"tokenizer_config.json", "/sp_model_kwargs", Json{{"enable_sampling", true}}},
  };
  for (const auto& [file, pointer, value] : refused) {
    const std::string key = pointer.substr(pointer.rfind('/') + 1);
    EXPECT_THAT(error_with("llava-gqa", file, pointer, value), AllOf(HasSubstr(file), HasSubstr(key)))
        << pointer;
    EXPECT_EQ(error_with("llava-gqa", file, pointer, nullptr), "") << pointer;
  }
}

TEST(CheckpointKeys, OfImageProcessorsAreTakenAsTheirClassesTakeThem) {
  constexpr const char* kFile = "preprocessor_config.json";
  const auto refused = [&](const std::string& reference, const std::string& key, const Json& value) {
    return error_with(reference, kFile, "/" + key, value);
  };
  const Json square = {{"height", 8}, {"width", 8}};
  // Neither read nor refused by these classes.
  for (const char* reference : {"qwen3-vl", "lfm2-vl", "glm-ocr", "paddleocr-vl"}) {
    const ModelFiles files = files_after(reference, kFile, [&](Json& c) {
      c["do_center_crop"] = true;
      c["crop_size"] = square;
    });
    EXPECT_THAT(files.unknown_keys, IsEmpty()) << reference;
    EXPECT_EQ(files.images->tokens(200, 100),
              ModelFiles(testing::kReference / reference / "model").images->tokens(200, 100));
  }
  EXPECT_THAT(refused("mistral3", "do_center_crop", true), HasSubstr("do_center_crop"));
  EXPECT_THAT(refused("smolvlm", "do_center_crop", true), HasSubstr("do_center_crop"));
  // Sizes in a form that the class does not take.
  for (const char* reference : {"qwen3-vl", "smolvlm", "mistral3"})
    EXPECT_THAT(refused(reference, "size", square), AllOf(HasSubstr(kFile), HasSubstr("size"))) << reference;
  EXPECT_THAT(refused("internvl", "size", square), AllOf(HasSubstr("8, but"), HasSubstr("image_size is 28")));
  EXPECT_THAT(refused("internvl", "size", Json{{"shortest_edge", 28}}), HasSubstr("size.shortest_edge"));
  EXPECT_EQ(refused("internvl", "size", 28), "");
  EXPECT_EQ(
      refused("qwen3-vl", "size", Json{{"shortest_edge", 720}, {"longest_edge", 2880}, {"height", nullptr}}),
      "");
  EXPECT_THAT(error_with("deepseek-ocr2", "processor_config.json", "/image_processor/size",
                         Json{{"longest_edge", 128}}),
              HasSubstr("size.longest_edge"));
}

TEST(CheckpointKeys, OfOtherImageProcessorsAreReported) {
  const auto notes = [](const std::string& reference, const char* key, const Json& value) {
    return files_after(reference, "preprocessor_config.json", [&](Json& c) { c[key] = value; }).unknown_keys;
  };
  EXPECT_THAT(notes("llava-gqa", "max_pixels", 4000), ElementsAre(HasSubstr("'max_pixels'")));
  EXPECT_THAT(notes("siglip", "max_soft_tokens", 70), ElementsAre(HasSubstr("'max_soft_tokens'")));
  EXPECT_THAT(notes("qwen3-vl", "tile_size", 512), ElementsAre(HasSubstr("'tile_size'")));
  EXPECT_THAT(notes("qwen3-vl", "min_pixels", 800), IsEmpty());
}

TEST(CheckpointKeys, RotationIsReadInAllSpellings) {
  const RopeConfig old = rope_of([](Json& c) {
    c["rope_theta"] = 500000;
    c["rope_scaling"] = Json{{"type", "linear"}, {"factor", 4}};
  });
  const RopeConfig later = rope_of([](Json& c) {
    c.erase("rope_theta");
    c.erase("rope_scaling");
    c["rope_parameters"] = Json{{"rope_theta", 500000}, {"rope_type", "linear"}, {"factor", 4.0}};
  });
  EXPECT_EQ(old, later);
  EXPECT_EQ(later.theta, 500000.0);
  EXPECT_EQ(later.scaling, RopeScaling::linear);
  EXPECT_EQ(later.factor, 4.0);
}

TEST(CheckpointKeys, YarnsMagnitudeIsGivenOrFollowsFromItsFactor) {
  const auto yarn = [](const Json& more) {
    return rope_of([&](Json& c) {
      c["rope_scaling"] = Json{{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32}};
      c["rope_scaling"].update(more);
    });
  };
  const double otherwise = 0.1 * std::log(4.0) + 1;
  EXPECT_DOUBLE_EQ(yarn(Json::object()).magnitude, otherwise);
  EXPECT_EQ(yarn(Json::object()).original_positions, 32u);
  EXPECT_DOUBLE_EQ(yarn({{"attention_factor", 1.25}}).magnitude, 1.25);
  EXPECT_DOUBLE_EQ(yarn({{"mscale", 1.0}, {"mscale_all_dim", 1.0}}).magnitude, 1.0);
  EXPECT_DOUBLE_EQ(yarn({{"mscale", 1.0}}).magnitude, otherwise);
  EXPECT_FALSE(yarn({{"truncate", false}}).whole_dims);
  EXPECT_THAT(testing::message_of<ModelError>([&] {
                yarn({{"llama_4_scaling_beta", 0.1}});
              }),
              HasSubstr("llama_4_scaling_beta"));  // Ministral 3 has it alone
}

TEST(CheckpointKeys, InternVlsLastNormIsALayerNorm) {
  const auto error = [](const char* type) {
    return error_after("internvl", "config.json", [&](Json& c) {
      c["vision_config"]["use_mean_pooling"] = false;
      c["vision_config"]["norm_type"] = type;
    });
  };
  EXPECT_THAT(error("rms_norm"), AllOf(HasSubstr("use_mean_pooling"), HasSubstr("layer_norm")));
  EXPECT_THAT(error("layer_norm"), Not(HasSubstr("use_mean_pooling")));
}

TEST(CheckpointKeys, RotationThatLacksAKeyOrHasAForeignOneIsRefused) {
  const Json whole{
      {"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 1.0}, {"high_freq_factor", 4.0}};
  for (const char* holder : {"/rope_scaling", "/rope_parameters"}) {
    for (const char* key : {"factor", "low_freq_factor", "high_freq_factor"}) {
      Json lacking = whole;
      lacking.erase(key);
      EXPECT_THAT(error_with("llama", "config.json", holder, lacking),
                  AllOf(HasSubstr(std::string("'") + (holder + 1) + "." + key + "'"), HasSubstr("missing")));
    }
    EXPECT_EQ(error_with("llama", "config.json", holder, whole), "");
    for (const char* kind : {"linear", "dynamic"})
      EXPECT_THAT(error_with("llama", "config.json", holder, Json{{"rope_type", kind}}), HasSubstr("factor"));
    Json foreign = whole;
    foreign["attention_factor"] = 1.5;
    EXPECT_THAT(error_with("llama", "config.json", holder, foreign), HasSubstr("attention_factor"));
    EXPECT_THAT(error_with("llama", "config.json", holder,
                           Json{{"rope_type", "default"}, {"partial_rotary_factor", 0.5}}),
                HasSubstr("partial_rotary_factor"));
  }
  EXPECT_THAT(error_with("llama", "config.json", "/rope_scaling", Json{{"factor", 2.0}}),
              HasSubstr("rope_type"));
  EXPECT_THAT(error_with("llama", "config.json", "/rope_parameters", Json{{"full_attention", whole}}),
              HasSubstr("full_attention"));
}

TEST(CheckpointKeys, LayersFitTheWeights) {
  EXPECT_THAT(error_with("llama", "config.json", "/num_hidden_layers", 2),
              AllOf(HasSubstr("'num_hidden_layers': 2 layers"), HasSubstr("model.layers.2.")));
  EXPECT_THAT(error_with("llama", "config.json", "/num_hidden_layers", 4),
              AllOf(HasSubstr("4 layers, of which 3 are stored"), HasSubstr("model.layers.3.")));
  EXPECT_THAT(error_with("llava-gqa", "config.json", "/vision_config/num_hidden_layers", 3),
              HasSubstr("'vision_config.num_hidden_layers'"));
  EXPECT_THAT(error_with("siglip", "config.json", "/text_config/num_hidden_layers", 2),
              HasSubstr("'text_config.num_hidden_layers'"));
  const auto types = [](const Json& list) {
    return error_with("gemma2", "config.json", "/layer_types", list);
  };
  EXPECT_THAT(types(Json::array({"full_attention"})), HasSubstr("layer_types"));
  EXPECT_THAT(types(Json::array({"full_attention", "linear_attention", "full_attention"})),
              HasSubstr("linear_attention"));
  const ModelFiles files = files_after("gemma2", "config.json", [](Json& c) {
    c["layer_types"] = Json::array({"full_attention", "sliding_attention", "full_attention"});
  });
  EXPECT_EQ(files.spec.decoder.layers[0].attention.shape.window, 0u);
  EXPECT_GT(files.spec.decoder.layers[1].attention.shape.window, 0u);
}

TEST(CheckpointKeys, ProcessorConfigAloneIsEnough) {
  const ModelFolder folder("llava-gqa");
  const Json image = Json::parse(testing::read_file(folder.path() / "preprocessor_config.json"));
  std::filesystem::remove(folder.path() / "preprocessor_config.json");
  testing::write_file(folder.path() / "processor_config.json", Json{{"image_processor", image}}.dump());
  EXPECT_EQ(testing::message_of<ModelError>([&] { ModelFiles files(folder.path()); }), "");
}

TEST(CheckpointKeys, SettingsOfGreedyCheckpointsLoad) {
  const ModelFiles files = files_after("llama", "generation_config.json", [](Json& c) {
    c.update(Json{{"do_sample", false},
                  {"temperature", 0.0},
                  {"top_p", 0.0},
                  {"max_length", 20},
                  {"max_new_tokens", 9},
                  {"stop_token_ids", Json::array({4, 5})}});
  });
  GenerationConfig config;
  apply(config, files.generation);
  config.validate();
  EXPECT_FALSE(config.max_length);  // max_new_tokens takes precedence
  EXPECT_EQ(config.max_new_tokens, 9);
  EXPECT_THAT(config.stop_token_ids, ElementsAre(4, 5));
}

TEST(CheckpointKeys, WeightsThatAreNotFiniteAreNamed) {
  for (const char* name :
       {"model.embed_tokens.weight", "model.layers.1.mlp.up_proj.weight", "model.norm.weight"}) {
    const ModelFolder folder("llama-scaled-rope");
    const auto path = folder.path() / "model.safetensors";
    std::string bytes = testing::read_file(path);
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof(length));
    const Json header = Json::parse(bytes.substr(8, length));
    const std::size_t end = header.at(name).at("data_offsets").at(1);
    bytes[8 + length + end - 1] = '\x7f';
    bytes[8 + length + end - 2] = '\xff';  // NaN in float32, float16 and bfloat16
    std::filesystem::remove(path);
    testing::write_file(path, bytes);
    EXPECT_THAT(testing::message_of<ModelError>([&] { Model::load(folder.path()); }), HasSubstr(name));
  }
}

}  // namespace
}  // namespace mmbatch
