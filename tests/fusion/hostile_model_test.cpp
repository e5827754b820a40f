// Checkpoint folders that are wrong: the error names the file, the key or tensor, what was expected and
// found.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fusion/model.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::ModelFolder;
using Json = nlohmann::json;

std::string error_of(const ModelFolder& folder) {
  return testing::message_of<ModelError>([&] { Model::load(folder.path()); });
}

/// What loading says after one change of config.json.
std::string after(const std::string& reference, const std::function<void(Json&)>& change) {
  const ModelFolder folder(reference);
  folder.edit_config(change);
  return error_of(folder);
}

std::string with(const std::string& reference, const std::string& pointer, const Json& value) {
  return after(reference, [&](Json& config) { config[Json::json_pointer(pointer)] = value; });
}

TEST(HostileConfig, UnchangedFoldersLoad) {
  for (const char* reference : {"llava-gqa", "paligemma", "llava-next", "gemma2"}) {
    EXPECT_EQ(error_of(ModelFolder(reference)), "") << reference;
  }
}

TEST(HostileFiles, APointerOfGitLfsSaysWhatItIsAndWhatToDo) {
  std::size_t seen = 0;
  for (const char* reference : {"llava-gqa", "qwen2", "siglip"}) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(testing::kReference / reference / "model"))
      names.push_back(entry.path().filename().string());
    for (const std::string& name : names) {
      const ModelFolder folder(reference);
      std::filesystem::remove(folder.path() / name);
      testing::write_file(folder.path() / name,
                          "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
      const std::string error = error_of(folder);
      if (error.empty()) continue;  // a file that this model has and nothing reads
      EXPECT_THAT(error, HasSubstr(name + ": a Git LFS pointer, not the file itself: run 'git lfs pull'"))
          << reference;
      ++seen;
    }
  }
  EXPECT_GE(seen, 12u);
  const testing::TemporaryFolder folder;
  const auto gguf =
      folder.write("x.gguf", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
  for (const auto& place : {gguf, folder.path()})
    EXPECT_THAT(testing::message_of<ModelError>([&] { Model::load(place); }),
                HasSubstr("x.gguf: a Git LFS pointer"));
}

TEST(HostileConfig, UnsupportedArchitecturesAreListed) {
  EXPECT_THAT(with("llama", "/architectures", Json::array({"BertModel"})),
              AllOf(HasSubstr("config.json"), HasSubstr("found BertModel"),
                    HasSubstr("LlavaForConditionalGeneration")));
  EXPECT_THAT(with("llama", "/architectures", "LlamaForCausalLM"), HasSubstr("'architectures'"));
  EXPECT_THAT(with("llama", "/architectures", Json::array({3})), HasSubstr("list of strings"));
  EXPECT_THAT(after("llama",
                    [](Json& c) {
                      c.erase("architectures");
                      c["model_type"] = "bert";
                    }),
              HasSubstr("model_type bert"));
  EXPECT_THAT(after("llama",
                    [](Json& c) {
                      c.erase("architectures");
                      c.erase("model_type");
                    }),
              HasSubstr("neither architectures nor model_type"));
  EXPECT_EQ(after("llama", [](Json& c) { c.erase("architectures"); }), "");
  EXPECT_THAT(with("llava-gqa", "/text_config/model_type", "opt"),
              AllOf(HasSubstr("'text_config.model_type'"), HasSubstr("'opt'"), HasSubstr("gemma2")));
  EXPECT_THAT(with("llava-gqa", "/vision_config/model_type", "dinov2"), HasSubstr("siglip_vision_model"));
}

TEST(HostileConfig, WrongTypesAndRangesNameTheKey) {
  EXPECT_THAT(with("llama", "/hidden_size", "64"), HasSubstr("'hidden_size': expected an integer from 1"));
  EXPECT_THAT(with("llama", "/hidden_size", 64.5), HasSubstr("'hidden_size'"));
  EXPECT_THAT(with("llama", "/hidden_size", -64), HasSubstr("found -64"));
  EXPECT_THAT(with("llama", "/hidden_size", std::uint64_t{1} << 63), HasSubstr("'hidden_size'"));
  EXPECT_THAT(with("llama", "/num_hidden_layers", 100000), HasSubstr("from 1 to 4096"));
  EXPECT_THAT(with("llama", "/num_attention_heads", 0), HasSubstr("'num_attention_heads'"));
  EXPECT_THAT(with("llama", "/vocab_size", Json::array()), HasSubstr("'vocab_size'"));
  EXPECT_THAT(with("llama", "/rms_norm_eps", "small"), HasSubstr("'rms_norm_eps'"));
  EXPECT_THAT(with("llama", "/rope_theta", 0), HasSubstr("'rope_theta'"));
  EXPECT_THAT(with("llama", "/tie_word_embeddings", 1), HasSubstr("'tie_word_embeddings'"));
  EXPECT_THAT(with("llama", "/max_position_embeddings", 1), HasSubstr("'max_position_embeddings'"));
  EXPECT_THAT(with("llava-gqa", "/vision_config", "clip"), HasSubstr("'vision_config': expected an object"));
  EXPECT_THAT(with("llava-gqa", "/text_config", 7), HasSubstr("'text_config': expected an object"));
  EXPECT_THAT(with("llama", "/rope_scaling", 2.0), HasSubstr("'rope_scaling': expected an object"));
  EXPECT_THAT(with("llava-gqa", "/vision_feature_layer", Json::array({-2, -3})), HasSubstr("list of layers"));
  EXPECT_THAT(with("llava-gqa", "/vision_feature_layer", -99), HasSubstr("'vision_feature_layer'"));
  EXPECT_THAT(with("llava-gqa", "/vision_feature_select_strategy", "cls"), HasSubstr("default and full"));
  EXPECT_THAT(with("llava-gqa", "/image_token_index", 999999), HasSubstr("'image_token_index'"));
  EXPECT_THAT(with("llava-gqa", "/vision_config/num_channels", 4), HasSubstr("'vision_config.num_channels'"));
  EXPECT_THAT(with("llava-gqa", "/vision_config/patch_size", 4096), HasSubstr("patch_size"));
  EXPECT_THAT(with("gemma2", "/query_pre_attn_scalar", 0), HasSubstr("'query_pre_attn_scalar'"));
  EXPECT_THAT(with("gemma2", "/final_logit_softcapping", -1), HasSubstr("null for none"));
  EXPECT_THAT(with("mistral-window", "/sliding_window", 0), HasSubstr("'sliding_window'"));
  EXPECT_THAT(with("llava-next", "/image_grid_pinpoints", Json::array({Json::array({56})})),
              HasSubstr("image_grid_pinpoints"));
  EXPECT_THAT(with("llava-next", "/vision_feature_select_strategy", "full"), HasSubstr("class token"));
  EXPECT_THAT(with("deepseek-ocr2", "/vision_config/sam_config/mlp_ratio", 1e300),
              HasSubstr("'vision_config.sam_config.mlp_ratio': expected a number from 0 to 64"));
}

TEST(HostileConfig, HeadsMustDivideWhatTheyShare) {
  EXPECT_THAT(with("llama", "/num_key_value_heads", 3), HasSubstr("3 does not divide num_attention_heads 4"));
  EXPECT_THAT(after("llama",
                    [](Json& c) {
                      c.erase("head_dim");
                      c["num_attention_heads"] = 6;
                      c["num_key_value_heads"] = 6;
                    }),
              HasSubstr("6 does not divide hidden_size 64"));
  EXPECT_THAT(with("llama", "/head_dim", 15), HasSubstr("must be even"));
  EXPECT_THAT(with("llama", "/head_dim", 1024), HasSubstr("at most 512"));
  EXPECT_THAT(with("llava-gqa", "/vision_config/num_attention_heads", 5),
              HasSubstr("does not divide hidden_size 48"));
}

TEST(HostileConfig, UnknownActivationsAndRopeTypesListTheKnown) {
  EXPECT_THAT(with("llama", "/hidden_act", "relu6"),
              AllOf(HasSubstr("'hidden_act'"), HasSubstr("gelu_pytorch_tanh")));
  EXPECT_THAT(with("llama", "/rope_scaling", Json{{"rope_type", "spiral"}, {"factor", 2}}),
              AllOf(HasSubstr("'rope_scaling.rope_type'"),
                    HasSubstr("default, dynamic, linear, llama3, longrope, proportional, yarn")));
  EXPECT_THAT(with("llama", "/rope_scaling", Json{{"type", "linear"}, {"factor", 0.5}}),
              HasSubstr("at least 1"));
  EXPECT_THAT(
      with("llama", "/rope_scaling",
           Json{{"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 4}, {"high_freq_factor", 4}}),
      HasSubstr("high_freq_factor"));
  EXPECT_EQ(with("llama", "/rope_scaling", Json{{"type", "dynamic"}, {"factor", 2.0}}), "");
}

TEST(HostileConfig, WidthsAreHeldAgainstTheTensors) {
  EXPECT_THAT(with("llama", "/intermediate_size", 161),
              AllOf(HasSubstr("'model.layers.0.mlp.gate_proj.weight'"), HasSubstr("expected shape [161, 64]"),
                    HasSubstr("found [160, 64]")));
  EXPECT_THAT(with("llama", "/num_hidden_layers", 4),
              HasSubstr("'model.layers.3.self_attn.v_proj.weight' is missing"));
  EXPECT_THAT(with("llama", "/vocab_size", 1 << 24), HasSubstr("embed_tokens.weight"));
  EXPECT_THAT(with("llava-gqa", "/vision_config/image_size", 4096), HasSubstr("image_size is 4096"));
  EXPECT_THAT(with("llava-gqa", "/text_config/hidden_size", 128), HasSubstr("expected shape"));
  EXPECT_THAT(with("gemma2", "/head_dim", 32), HasSubstr("q_proj"));
}

TEST(HostileConfig, DeepAndBrokenFilesAreRefused) {
  const ModelFolder folder("llama");
  testing::write_file(folder.path() / "config.json", "{\"a\":" + std::string(5000, '['));
  EXPECT_THAT(error_of(folder), HasSubstr("config.json"));
  testing::write_file(folder.path() / "config.json", "");
  EXPECT_THAT(error_of(folder), HasSubstr("not valid JSON"));
  std::filesystem::remove(folder.path() / "config.json");
  EXPECT_THAT(error_of(folder), HasSubstr("config.json: no such file"));
}

TEST(HostileConfig, TokenizerAndSettingsMustBelongToTheModel) {
  EXPECT_THAT(with("llava-gqa", "/image_token_index", 3), HasSubstr("does not have '<image>' as token 3"));
  const ModelFolder folder("llama");
  folder.edit("generation_config.json", [](Json& c) { c["temperature"] = -1; });
  EXPECT_THAT(error_of(folder), AllOf(HasSubstr("generation_config.json"), HasSubstr("temperature")));
  const ModelFolder other("llama");
  other.edit("generation_config.json", [](Json& c) { c["eos_token_id"] = 480; });
  EXPECT_THAT(error_of(other), HasSubstr("'eos_token_id': outside the vocabulary"));
}

/// Takes a tensor's name away and leaves its bytes to another one, so that the file still adds up.
void forget(Json& header, const std::string& name) {
  if (!header.contains(name)) return;
  header["forgotten"] = header[name];
  header.erase(name);
}

TEST(HostileWeights, MissingTensorsAreNamed) {
  for (const char* name : {"model.layers.1.self_attn.k_proj.weight", "model.norm.weight", "lm_head.weight"}) {
    const ModelFolder folder("mistral-window");
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      if (entry.path().extension() != ".safetensors") continue;
      folder.edit_tensors(entry.path().filename(), [&](Json& header) { forget(header, name); });
    }
    EXPECT_THAT(error_of(folder), AllOf(HasSubstr(name), HasSubstr("missing"))) << name;
  }
  const ModelFolder folder("paligemma");
  folder.edit_tensors("model.safetensors", [](Json& h) { forget(h, "multi_modal_projector.linear.bias"); });
  EXPECT_THAT(error_of(folder), HasSubstr("'multi_modal_projector.linear.bias' is missing"));
  const ModelFolder without("paligemma");
  without.edit_tensors("model.safetensors",
                       [](Json& h) { forget(h, "multi_modal_projector.linear.weight"); });
  EXPECT_THAT(error_of(without), HasSubstr("none of the tensors 'multi_modal_projector.linear.weight', "
                                           "'model.multi_modal_projector.linear.weight' is there"));
}

TEST(HostileWeights, MisshapenAndForeignTensorsAreNamed) {
  const ModelFolder folder("paligemma");
  folder.edit_tensors("model.safetensors", [](Json& h) {
    h["multi_modal_projector.linear.weight"]["shape"] = Json::array({48, 64});
  });
  EXPECT_THAT(error_of(folder), AllOf(HasSubstr("'multi_modal_projector.linear.weight'"),
                                      HasSubstr("[64, 48]"), HasSubstr("[48, 64]")));
  const ModelFolder integers("paligemma");
  integers.edit_tensors("model.safetensors",
                        [](Json& h) { h["multi_modal_projector.linear.weight"]["dtype"] = "I16"; });
  EXPECT_THAT(error_of(integers), HasSubstr("linear.weight"));
  const ModelFolder newline("llava-next");
  for (const auto& entry : std::filesystem::directory_iterator(newline.path())) {
    if (entry.path().extension() != ".safetensors") continue;
    newline.edit_tensors(entry.path().filename(), [](Json& h) { forget(h, "image_newline"); });
  }
  EXPECT_THAT(error_of(newline), HasSubstr("'image_newline', 'model.image_newline'"));
}

TEST(HostileWeights, MissingFilesAreNamed) {
  const ModelFolder folder("llava-gqa");
  std::filesystem::remove(folder.path() / "preprocessor_config.json");
  EXPECT_THAT(error_of(folder), HasSubstr("preprocessor_config.json: missing"));
  const ModelFolder other("llava-gqa");
  other.edit("preprocessor_config.json", [](Json& c) {
    c["crop_size"] = Json{{"height", 60}, {"width", 60}};
  });
  EXPECT_THAT(error_of(other), AllOf(HasSubstr("60 pixels"), HasSubstr("image_size is 56")));
  const ModelFolder shard("llava-gqa");
  std::filesystem::remove(shard.path() / "model-00002-of-00002.safetensors");
  EXPECT_THAT(error_of(shard), HasSubstr("model-00002-of-00002.safetensors"));
}

}  // namespace
}  // namespace mmbatch
