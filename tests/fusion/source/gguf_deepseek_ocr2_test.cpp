// DeepSeek-OCR 2 in two GGUF files, written from the reference folder as llama.cpp's converter writes them,
// with the folder's vocabulary: they are held to all numbers of the folder.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "fusion/source/open_model.h"
#include "tests/engine/gguf_bytes.h"
#include "tests/engine/stored_tensors.h"
#include "tests/fusion/compared.h"
#include "tests/fusion/model_folder.h"
#include "tests/fusion/source/gguf_names.h"

namespace mmbatch {
namespace {

using ::testing::AllOf;
using testing::GgufBytes;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TemporaryFolder;
using testing::write_file;
using Names = testing::GgufNames;

const std::filesystem::path kFolder = testing::kReference / "deepseek-ocr2";

const std::string kLayer = R"(model\.layers\.(\d+)\.)", kBlock = R"(model\.sam_model\.blocks\.(\d+)\.)",
                  kQuery = R"(model\.qwen2_model\.model\.model\.layers\.(\d+)\.)";

const Names kTextNames = {
    {R"(model\.embed_tokens\.weight)", "token_embd.weight"},
    {R"(model\.norm\.weight)", "output_norm.weight"},
    {R"(lm_head\.weight)", "output.weight"},
    {kLayer + R"(input_layernorm\.weight)", "blk.$1.attn_norm.weight"},
    {kLayer + R"(post_attention_layernorm\.weight)", "blk.$1.ffn_norm.weight"},
    {kLayer + R"(self_attn\.([qkv])_proj\.weight)", "blk.$1.attn_$2.weight"},
    {kLayer + R"(self_attn\.o_proj\.weight)", "blk.$1.attn_output.weight"},
    {kLayer + R"(mlp\.(gate|up|down)_proj\.weight)", "blk.$1.ffn_$2.weight"},
    {kLayer + R"(mlp\.gate\.weight)", "blk.$1.ffn_gate_inp.weight"},
    {kLayer + R"(mlp\.shared_experts\.(gate|up|down)_proj\.weight)", "blk.$1.ffn_$2_shexp.weight"}};

const Names kVisionNames = {{R"(model\.sam_model\.pos_embed)", "v.sam.pos_embd.weight"},
                            {R"(model\.sam_model\.patch_embed\.proj\.(.*))", "v.sam.patch_embd.$1"},
                            {R"(model\.sam_model\.(neck\.\d|net_\d)\.(.*))", "v.sam.$1.$2"},
                            {kBlock + R"(norm1\.(.*))", "v.sam.blk.$1.pre_ln.$2"},
                            {kBlock + R"(norm2\.(.*))", "v.sam.blk.$1.post_ln.$2"},
                            {kBlock + R"(attn\.qkv\.(.*))", "v.sam.blk.$1.attn.qkv.$2"},
                            {kBlock + R"(attn\.proj\.(.*))", "v.sam.blk.$1.attn.out.$2"},
                            {kBlock + R"(attn\.rel_pos_([hw]))", "v.sam.blk.$1.attn.pos_$2.weight"},
                            {kBlock + R"(mlp\.(.*))", "v.sam.blk.$1.mlp.$2"},
                            {R"(model\.qwen2_model\.(query_\d+)\.weight)", "v.resample_$1.weight"},
                            {R"(model\.qwen2_model\.model\.model\.norm\.weight)", "v.post_ln.weight"},
                            {kQuery + R"(input_layernorm\.(.*))", "v.blk.$1.ln1.$2"},
                            {kQuery + R"(post_attention_layernorm\.(.*))", "v.blk.$1.ln2.$2"},
                            {kQuery + R"(self_attn\.([qkv])_proj\.(.*))", "v.blk.$1.attn_$2.$3"},
                            {kQuery + R"(self_attn\.o_proj\.(.*))", "v.blk.$1.attn_out.$2"},
                            {kQuery + R"(mlp\.(gate|up|down)_proj\.(.*))", "v.blk.$1.ffn_$2.$3"},
                            {R"(model\.projector\.layers\.(.*))", "mm.model.fc.$1"}};

void put_named(GgufBytes& file, const WeightSource& folder, const Names& names) {
  for (const auto& [stored, tensor] : folder.tensors()) {
    const std::string name = testing::gguf_name(names, stored);
    if (!name.empty()) file.put(name, tensor.shape, to_floats(tensor));
  }
}

/// Those of a layer and one kind in one tensor [experts, out, in].
void put_experts(GgufBytes& file, const WeightSource& folder) {
  for (const std::size_t layer : {1u, 2u}) {
    for (const char* kind : {"gate", "up", "down"}) {
      std::vector<float> all;
      std::vector<std::size_t> shape;
      for (std::size_t expert = 0; expert < 6; ++expert) {
        const TensorView& one =
            folder.tensor(fmt::format("model.layers.{}.mlp.experts.{}.{}_proj.weight", layer, expert, kind));
        const std::vector<float> values = to_floats(one);
        all.insert(all.end(), values.begin(), values.end());
        shape = {6, one.shape[0], one.shape[1]};
      }
      file.put(fmt::format("blk.{}.ffn_{}_exps.weight", layer, kind), shape, all);
    }
  }
}

void put_vocabulary(GgufBytes& file, std::size_t size) {
  const auto all = nlohmann::json::parse(testing::read_file(kFolder / "model/tokenizer.json"));
  std::vector<std::string> tokens(size), merges;
  constexpr std::int32_t kNormal = 1, kControl = 3, kUnused = 5;
  std::vector<std::int32_t> types(size, kUnused);
  for (std::size_t i = 0; i < size; ++i) tokens[i] = fmt::format("[PAD{}]", i);
  const auto token = [&](std::size_t id, const std::string& text, std::int32_t type) {
    tokens.at(id) = text;
    types.at(id) = type;
  };
  for (const auto& [text, id] : all["model"]["vocab"].items()) token(id, text, kNormal);
  for (const auto& added : all["added_tokens"]) token(added["id"], added["content"], kControl);
  for (const auto& merge : all["model"]["merges"])
    merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  std::string packed = GgufBytes::number(std::uint32_t{5}) + GgufBytes::number(std::uint64_t{size});
  for (const std::int32_t type : types) packed += GgufBytes::number(type);
  file.key("tokenizer.ggml.model", "gpt2").key("tokenizer.ggml.pre", "deepseek-v3");
  file.texts("tokenizer.ggml.tokens", tokens).key("tokenizer.ggml.token_type", 9, packed);
  file.texts("tokenizer.ggml.merges", merges);
  file.key("tokenizer.ggml.bos_token_id", 0u).key("tokenizer.ggml.eos_token_id", 1u);
  file.key("tokenizer.ggml.padding_token_id", 2u);
  file.key("tokenizer.ggml.add_bos_token", 7, GgufBytes::number(true));
  file.key("tokenizer.chat_template", "{% for m in messages %}{{m['content']}}{% endfor %}");
}

GgufBytes text_file(const WeightSource& folder) {
  const Config text = folder.config().object("text_config");
  GgufBytes file;
  const auto key = [](const char* name) { return std::string("deepseek2-ocr.") + name; };
  file.key("general.architecture", "deepseek2-ocr");
  for (const auto& [name, of] : Names{{"block_count", "num_hidden_layers"},
                                      {"context_length", "max_position_embeddings"},
                                      {"embedding_length", "hidden_size"},
                                      {"feed_forward_length", "intermediate_size"},
                                      {"attention.head_count", "num_attention_heads"},
                                      {"attention.head_count_kv", "num_key_value_heads"},
                                      {"expert_count", "n_routed_experts"},
                                      {"expert_used_count", "num_experts_per_tok"},
                                      {"expert_shared_count", "n_shared_experts"},
                                      {"expert_feed_forward_length", "moe_intermediate_size"}})
    file.key(key(name.c_str()), static_cast<std::uint32_t>(text.integer(of, 0)));
  file.key(key("leading_dense_block_count"), 1u).key(key("rope.dimension_count"), 0u);
  file.key(key("attention.layer_norm_rms_epsilon"), 6, GgufBytes::number(1e-6f));
  put_vocabulary(file, static_cast<std::size_t>(text.integer("vocab_size", 0)));
  put_named(file, folder, kTextNames);
  put_experts(file, folder);
  return file;
}

/// The converter writes the published sizes of image and patches, whatever the tensors' are.
GgufBytes vision_file(const WeightSource& folder) {
  const Config vision = folder.config().object("vision_config");
  const Config encoder = vision.object("encoder_config"), sam = vision.object("sam_config");
  GgufBytes file;
  const auto key = [](const std::string& name) { return "clip.vision." + name; };
  const auto copy = [&](const Config& from, const Names& names) {
    for (const auto& [name, of] : names) file.key(key(name), static_cast<std::uint32_t>(from.integer(of, 0)));
  };
  file.key("general.architecture", "clip").key("clip.projector_type", "deepseekocr2");
  file.key(key("image_size"), 1024u).key(key("patch_size"), 16u).key(key("window_size"), 14u);
  file.key(key("preproc_min_tiles"), 2u).key(key("preproc_max_tiles"), 6u);
  copy(encoder, {{"embedding_length", "hidden_size"},
                 {"feed_forward_length", "intermediate_size"},
                 {"block_count", "num_hidden_layers"},
                 {"attention.head_count", "num_attention_heads"},
                 {"attention.head_count_kv", "num_key_value_heads"}});
  copy(sam, {{"sam.block_count", "num_hidden_layers"},
             {"sam.embedding_length", "hidden_size"},
             {"sam.head_count", "num_attention_heads"}});
  file.key(key("attention.layer_norm_epsilon"), 6, GgufBytes::number(1e-6f));
  file.key("clip.use_gelu", 7, GgufBytes::number(true));
  file.floats(key("image_mean"), {0.5f, 0.5f, 0.5f}).floats(key("image_std"), {0.5f, 0.5f, 0.5f});
  put_named(file, folder, kVisionNames);
  const TensorView& mark = folder.tensor("model.view_seperator");
  file.put("v.view_seperator", {1, mark.elements()}, to_floats(mark));
  return file;
}

TEST(GgufDeepSeekOcr2, AgreesWithTransformers) {
  const auto folder = open_model(kFolder / "model");
  const TemporaryFolder made;
  write_file(made.path() / "model.gguf", text_file(*folder).bytes());
  write_file(made.path() / "mmproj-model.gguf", vision_file(*folder).bytes());
  const parity::Report report = testing::compare(kFolder, made.path() / "model.gguf");
  EXPECT_EQ(report.failed(), 0u) << report.table();
  EXPECT_GE(report.checks(), 100u);
}

TEST(GgufDeepSeekOcr2, OtherWaysToChooseExpertsAreRefused) {
  const auto folder = open_model(kFolder / "model");
  const TemporaryFolder made;
  write_file(made.path() / "mmproj-model.gguf", vision_file(*folder).bytes());
  const auto refusal = [&](GgufBytes file) {
    write_file(made.path() / "model.gguf", file.bytes());
    return message_of<ModelError>([&] { open_model(made.path() / "model.gguf"); });
  };
  EXPECT_EQ(refusal(text_file(*folder).key("deepseek2-ocr.expert_gating_func", 1u)), "");
  EXPECT_THAT(refusal(text_file(*folder).key("deepseek2-ocr.expert_gating_func", 2u)),
              AllOf(HasSubstr("expert_gating_func"), HasSubstr("softmax")));
  EXPECT_THAT(
      refusal(text_file(*folder).key("deepseek2-ocr.expert_weights_norm", 7, GgufBytes::number(true))),
      HasSubstr("expert_weights_norm"));
}

TEST(GgufDeepSeekOcr2, KeysOfBothTowersAreHeldToEachOtherAndToTheTensors) {
  const auto folder = open_model(kFolder / "model");
  const TemporaryFolder made;
  write_file(made.path() / "model.gguf", text_file(*folder).bytes());
  const std::string sound = vision_file(*folder).bytes();
  const auto refusal = [&](const std::string& name, std::uint32_t value) {
    const std::string key = "clip.vision." + name;
    std::string bytes = sound;
    bytes.replace(bytes.find(GgufBytes::text(key)) + 8 + key.size() + 4, 4, GgufBytes::number(value));
    write_file(made.path() / "mmproj-model.gguf", bytes);
    const std::string message = message_of<ModelError>([&] { open_model(made.path() / "model.gguf"); });
    EXPECT_THAT(message, HasSubstr("mmproj-model.gguf: key '" + key + "': "));
    return message;
  };
  EXPECT_THAT(refusal("sam.head_count", 3), HasSubstr("3 does not divide sam.embedding_length 16"));
  EXPECT_THAT(refusal("sam.block_count", 1), HasSubstr("there are tensors of 'v.sam.blk.1' too"));
  EXPECT_THAT(refusal("attention.head_count_kv", 3), HasSubstr("3 does not divide attention.head_count 4"));
  EXPECT_THAT(refusal("preproc_max_tiles", 1), HasSubstr("at least 2 tiles, at most 1"));
}

}  // namespace
}  // namespace mmbatch
