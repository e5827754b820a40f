// mmproj files (general.architecture "clip"): a vision tower, and a projector whose kind is
// "clip.projector_type".

#include "fusion/families/gguf/projector_file.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/weights/derived.h"

namespace mmbatch::gguf {
namespace {

using nlohmann::json;

using Name = std::pair<std::string_view, std::string_view>;

constexpr std::array kBlockNames = {
    Name{"attn_q", "self_attn.q_proj"}, Name{"attn_k", "self_attn.k_proj"},
    Name{"attn_v", "self_attn.v_proj"}, Name{"attn_out", "self_attn.out_proj"},
    Name{"ln1", "layer_norm1"},         Name{"ln2", "layer_norm2"},
    Name{"ffn_up", "mlp.fc1"},          Name{"ffn_down", "mlp.fc2"},
};

/// Old files have the two matrices of the feed-forward exchanged: then ffn_down reads what the tower is wide.
bool exchanged(const GgufFile& file, std::size_t width) {
  const auto down = file.tensors().find("v.blk.0.ffn_down.weight");
  const auto up = file.tensors().find("v.blk.0.ffn_up.weight");
  return down != file.tensors().end() && up != file.tensors().end() && down->second.cols() == width &&
         up->second.cols() != width;
}

/// A block's tensor under its name in the tower of the CLIP kind.
TensorView block_tensor(const TensorView& tensor, const std::string& prefix, bool swap) {
  const std::string rest = tensor.name.substr(std::string_view("v.blk.").size());
  const std::size_t first = rest.find('.'), last = rest.rfind('.');
  std::string part = first < last ? rest.substr(first + 1, last - first - 1) : "";
  if (swap && (part == "ffn_up" || part == "ffn_down")) part = part == "ffn_up" ? "ffn_down" : "ffn_up";
  for (const auto& [own, name] : kBlockNames) {
    if (part == own)
      return renamed(
          tensor,
          fmt::format("{}encoder.layers.{}.{}{}", prefix, rest.substr(0, first), name, rest.substr(last)),
          tensor.shape);
  }
  throw ModelError(fmt::format("tensor '{}' has no place in a vision tower of this kind", tensor.name));
}

json describe_tower(const Metadata& metadata, const std::string& type) {
  const auto size = [&](const char* key) {
    const std::string full = std::string("clip.vision.") + key;
    if (!metadata.has(full)) metadata.fail(full, "missing");
    return metadata.size(full, 0);
  };
  const bool silu = metadata.flag("clip.use_silu", false), gelu = metadata.flag("clip.use_gelu", false);
  return {{"model_type", type},
          {"hidden_size", size("embedding_length")},
          {"intermediate_size", size("feed_forward_length")},
          {"num_hidden_layers", size("block_count")},
          {"num_attention_heads", size("attention.head_count")},
          {"image_size", size("image_size")},
          {"patch_size", size("patch_size")},
          {"layer_norm_eps", metadata.number("clip.vision.attention.layer_norm_epsilon", 1e-5)},
          {"hidden_act", silu   ? "silu"
                         : gelu ? "gelu_pytorch_tanh"
                                : "quick_gelu"}};
}

json means_and_deviations(const Metadata& metadata) {
  return {{"image_mean", metadata.numbers("clip.vision.image_mean")},
          {"image_std", metadata.numbers("clip.vision.image_std")},
          {"do_resize", true},
          {"do_rescale", true},
          {"rescale_factor", 1.0 / 255.0},
          {"do_normalize", true},
          {"do_convert_rgb", true}};
}

void below(const std::string& prefix, std::vector<TensorView>& tensors) {
  for (TensorView& tensor : tensors) tensor.name = prefix + tensor.name;
}

/// The tower's tensors; `other` takes what is not of a block.
template <class Other>
void add_tower(const GgufFile& file, const json& tower, const std::string& prefix,
               std::vector<TensorView>& out, const Other& other) {
  const bool swap = exchanged(file, tower["hidden_size"].get<std::size_t>());
  for (const auto& [name, tensor] : file.tensors()) {
    if (name.rfind("v.blk.", 0) == 0)
      out.push_back(block_tensor(tensor, prefix, swap));
    else
      other(name, tensor);
  }
}

/// LLaVA 1.5: a tower of the CLIP kind whose last stored block is the feature layer, two linear layers.
void add_llava(const GgufFile& file, Multimodal& model) {
  const Metadata& metadata = file.metadata();
  json tower = describe_tower(metadata, "clip_vision_model");
  const std::string prefix = "vision_tower.vision_model.";
  below("language_model.", model.tensors);
  add_tower(file, tower, prefix, model.tensors, [&](const std::string& name, const TensorView& tensor) {
    const auto put = [&](const std::string& as) {
      model.tensors.push_back(renamed(tensor, as, tensor.shape));
    };
    if (name == "v.class_embd") {
      model.tensors.push_back(renamed(tensor, prefix + "embeddings.class_embedding", {tensor.elements()}));
    } else if (name.rfind("v.patch_embd.", 0) == 0) {
      put(prefix + "embeddings.patch_embedding." + name.substr(13));
    } else if (name == "v.position_embd.weight") {
      put(prefix + "embeddings.position_embedding.weight");
    } else if (name.rfind("v.pre_ln.", 0) == 0) {
      put(prefix + "pre_layrnorm." + name.substr(9));
    } else if (name.rfind("v.post_ln.", 0) == 0) {
      put(prefix + "post_layernorm." + name.substr(10));
    } else if (name.rfind("mm.0.", 0) == 0) {
      put("multi_modal_projector.linear_1." + name.substr(5));
    } else if (name.rfind("mm.2.", 0) == 0) {
      put("multi_modal_projector.linear_2." + name.substr(5));
    } else if (name != "model.image_newline") {  // of LLaVA-NeXT, which cuts pictures into tiles
      throw ModelError(
          fmt::format("{}: tensor '{}' has no place in a projector of kind mlp", metadata.source(), name));
    }
  });
  if (!metadata.integers("clip.vision.image_grid_pinpoints").empty()) {
    metadata.fail("clip.vision.image_grid_pinpoints",
                  "a LLaVA-NeXT file, which cuts pictures into tiles, is not supported as GGUF; take the "
                  "safetensors of the published checkpoint");
  }
  std::int64_t layers = tower["num_hidden_layers"];
  const std::vector<std::int64_t> feature_layers = metadata.integers("clip.vision.feature_layer");
  if (feature_layers.size() > 1)
    metadata.fail("clip.vision.feature_layer", "several layers are not supported");
  if (!feature_layers.empty()) layers = feature_layers.front();
  const std::size_t side = tower["image_size"];
  json processor = means_and_deviations(metadata);
  processor.update({{"image_processor_type", "CLIPImageProcessor"},
                    {"size", {{"shortest_edge", side}}},
                    {"resample", 3},
                    {"do_center_crop", true},
                    {"crop_size", {{"height", side}, {"width", side}}}});
  model.processor = processor.dump();
  const json text = json::parse(model.config);
  const json config = {{"architectures", {"LlavaForConditionalGeneration"}},
                       {"model_type", "llava"},
                       {"image_token_index", model.placeholder},
                       {"projector_hidden_act", "gelu"},
                       {"vision_feature_layer", layers},
                       {"vision_feature_select_strategy", "default"},
                       {"tie_word_embeddings", text["tie_word_embeddings"]},
                       {"text_config", text},
                       {"vision_config", tower}};
  model.config = config.dump();
}

}  // namespace

void add_projector(const GgufFile& projector, Multimodal& model) {
  const Metadata& metadata = projector.metadata();
  const std::string architecture = metadata.text("general.architecture", "");
  if (architecture != "clip")
    metadata.fail("general.architecture",
                  fmt::format("'{}' is not an mmproj file, which is 'clip'", architecture.substr(0, 80)));
  const char* key =
      metadata.has("clip.vision.projector_type") ? "clip.vision.projector_type" : "clip.projector_type";
  const std::string type = metadata.text(key, "mlp");
  if (type == "mlp") return add_llava(projector, model);
  metadata.fail(key, fmt::format("'{}' is not supported; supported is mlp", type.substr(0, 80)));
}

}  // namespace mmbatch::gguf
