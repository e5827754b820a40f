#include "bench/checkpoint/files.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "bench/checkpoint/vocabulary.h"
#include "engine/base/error.h"

namespace mmbatch::bench {
namespace {

using Json = nlohmann::ordered_json;

void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary);
  out << text;
  if (!out.flush()) throw UsageError(fmt::format("{}: cannot be written", file.string()));
}

Json vision_config(const ModelShape& model) {
  const VisionShape& vision = model.vision;
  Json config{{"model_type", model.layout == Layout::llava ? "clip_vision_model" : "siglip_vision_model"},
              {"hidden_size", vision.hidden},
              {"intermediate_size", vision.ffn},
              {"num_hidden_layers", vision.layers},
              {"num_attention_heads", vision.heads},
              {"image_size", vision.image},
              {"patch_size", vision.patch}};
  if (model.layout == Layout::paligemma) config["vision_use_head"] = false;
  return config;
}

std::string_view text_type(Layout layout) {
  if (layout == Layout::qwen_moe) return "qwen3_moe";
  if (layout == Layout::qwen3) return "qwen3";
  return layout == Layout::llava ? "llama" : "gemma";
}

Json text_config(const ModelShape& model) {
  const TextShape& text = model.text;
  Json config{{"model_type", text_type(model.layout)},
              {"hidden_size", text.hidden},
              {"intermediate_size", text.ffn},
              {"num_hidden_layers", text.layers},
              {"num_attention_heads", text.heads},
              {"num_key_value_heads", text.kv_heads},
              {"head_dim", text.head_dim},
              {"max_position_embeddings", 4096},
              {"torch_dtype", "bfloat16"},
              {"vocab_size", text.vocab}};
  if (model.layout == Layout::llava) config["rms_norm_eps"] = 1e-5;
  if (text.experts.count > 0) {
    config["num_experts"] = text.experts.count;
    config["num_experts_per_tok"] = text.experts.top_k;
    config["moe_intermediate_size"] = text.experts.ffn;
    config["norm_topk_prob"] = true;
  }
  return config;
}

/// Ids of the special tokens behind the tokenizer's pieces.
struct AddedIds {
  std::size_t image, pad;
};

constexpr std::size_t kLocations = 1024, kSegments = 128;

AddedIds added_ids(const ModelShape& model) {
  if (model.layout == Layout::llava) return {model.text.pieces, model.text.pieces + 1};
  if (!model.sees()) return {0, model.text.pieces};
  return {model.text.pieces + kLocations + kSegments, 0};
}

Json config(const ModelShape& model) {
  const AddedIds ids = added_ids(model);
  const bool llava = model.layout == Layout::llava;
  if (!model.sees()) {
    Json config = text_config(model);
    const bool experts = model.layout == Layout::qwen_moe;
    config["architectures"] = {experts ? "Qwen3MoeForCausalLM" : "Qwen3ForCausalLM"};
    if (!experts) config["max_position_embeddings"] = 40960;
    return config;
  }
  Json config{
      {"architectures", {llava ? "LlavaForConditionalGeneration" : "PaliGemmaForConditionalGeneration"}},
      {"model_type", llava ? "llava" : "paligemma"},
      {"image_token_index", ids.image},
      {"pad_token_id", ids.pad},
      {"torch_dtype", "bfloat16"},
      {"text_config", text_config(model)},
      {"vision_config", vision_config(model)}};
  if (llava) {
    config["projector_hidden_act"] = "gelu";
    config["vision_feature_layer"] = -2;
    config["vision_feature_select_strategy"] = "default";
  } else {
    config["bos_token_id"] = 2;
    config["eos_token_id"] = 1;
    config["hidden_size"] = config["projection_dim"] = model.text.hidden;
  }
  return config;
}

Json preprocessor(const ModelShape& model) {
  const std::size_t side = model.vision.image;
  const Json square{{"height", side}, {"width", side}};
  if (model.layout == Layout::paligemma) {
    return {{"image_processor_type", "SiglipImageProcessor"},
            {"size", square},
            {"resample", 3},
            {"image_mean", {0.5, 0.5, 0.5}},
            {"image_std", {0.5, 0.5, 0.5}}};
  }
  return {{"image_processor_type", "CLIPImageProcessor"},
          {"size", {{"shortest_edge", side}}},
          {"crop_size", square},
          {"do_center_crop", true},
          {"resample", 3},
          {"image_mean", {0.48145466, 0.4578275, 0.40821073}},
          {"image_std", {0.26862954, 0.26130258, 0.27577711}}};
}

Json added_tokens(const ModelShape& model) {
  const AddedIds ids = added_ids(model);
  if (!model.sees()) return {{"<pad>", ids.pad}};
  Json tokens{{"<image>", ids.image}};
  if (model.layout == Layout::llava) {
    tokens["<pad>"] = ids.pad;
    return tokens;
  }
  const std::size_t first = model.text.pieces;
  for (std::size_t i = 0; i < kLocations; ++i) tokens[fmt::format("<loc{:04}>", i)] = first + i;
  for (std::size_t i = 0; i < kSegments; ++i) tokens[fmt::format("<seg{:03}>", i)] = first + kLocations + i;
  return tokens;
}

Json special_tokens(const ModelShape& model) {
  const bool gemma = model.layout == Layout::paligemma;
  Json tokens{{"bos_token", gemma ? "<bos>" : "<s>"},
              {"eos_token", gemma ? "<eos>" : "</s>"},
              {"pad_token", "<pad>"},
              {"unk_token", "<unk>"}};
  if (model.sees()) tokens["additional_special_tokens"] = {"<image>"};
  return tokens;
}

Json tokenizer_config(const ModelShape& model) {
  Json config = special_tokens(model);
  config["add_bos_token"] = true;
  config["add_eos_token"] = false;
  const bool gemma = model.layout == Layout::paligemma;
  config["tokenizer_class"] = gemma ? "GemmaTokenizer" : "LlamaTokenizer";
  if (!gemma) config["legacy"] = false;
  return config;
}

Json generation(const ModelShape& model) {
  if (model.layout != Layout::paligemma)
    return {{"bos_token_id", 1}, {"eos_token_id", 2}, {"pad_token_id", added_ids(model).pad}};
  return {{"bos_token_id", 2}, {"eos_token_id", 1}, {"pad_token_id", 0}};
}

}  // namespace

void write_small_files(const ModelShape& shape, const std::filesystem::path& folder) {
  write(folder / "config.json", config(shape).dump(2));
  if (shape.sees()) write(folder / "preprocessor_config.json", preprocessor(shape).dump(2));
  write(folder / "generation_config.json", generation(shape).dump(2));
  write(folder / "added_tokens.json", added_tokens(shape).dump(2));
  write(folder / "special_tokens_map.json", special_tokens(shape).dump(2));
  write(folder / "tokenizer_config.json", tokenizer_config(shape).dump(2));
  write(folder / "tokenizer.model", random_vocabulary(shape.layout, shape.text.pieces));
}

}  // namespace mmbatch::bench
