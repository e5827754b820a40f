// "mlp", LLaVA 1.5 and LLaVA-NeXT: a tower of the CLIP kind whose last stored block is the feature layer, two
// linear layers; a file that names grids cuts pictures into tiles, which a learned row ends.

#include <nlohmann/json.hpp>

#include "engine/weights/derived.h"
#include "fusion/families/gguf/projectors/projector_kinds.h"

namespace mmbatch::gguf {
namespace {

using nlohmann::json;

const std::string kLlavaTower = "vision_tower.vision_model.";

std::vector<RenamedTensor> names(const TowerFile& file) {
  std::vector<RenamedTensor> names = clip_tower_names(kLlavaTower);
  // Files that were converted later count as Hugging Face's do.
  names.emplace_back(file.has("mm.0.weight") ? "mm.0" : "mm.1", "multi_modal_projector.linear_1");
  names.emplace_back("mm.2", "multi_modal_projector.linear_2");
  names.emplace_back("model.image_newline", "image_newline");
  return names;
}

/// The grids of LLaVA-NeXT, pairs of pixels behind one another in the file; empty for LLaVA 1.5.
json grids(const Metadata& metadata) {
  const std::string key = "clip.vision.image_grid_pinpoints";
  const std::vector<std::int64_t> sides = metadata.integers(key);
  if (sides.size() % 2 != 0) metadata.fail(key, "is not pairs of numbers");
  json pairs = json::array();
  for (std::size_t i = 0; i < sides.size(); i += 2) pairs.push_back({sides[i], sides[i + 1]});
  return pairs;
}

/// The layer whose output counts: the last stored one, unless the file names another.
std::int64_t feature_layer(const Metadata& metadata, std::size_t stored) {
  const std::string key = "clip.vision.feature_layer";
  const std::vector<std::int64_t> layers = metadata.integers(key);
  if (layers.size() > 1) metadata.fail(key, "several layers are not supported");
  return layers.empty() ? static_cast<std::int64_t>(stored) : layers.front();
}

}  // namespace

void add_llava(TowerFile& file, Multimodal& model) {
  const Metadata& metadata = file.metadata();
  const json pinpoints = grids(metadata);
  const TowerSizes sizes = file.sizes();
  put_below("language_model.", model.tensors);
  const TensorView cls = file.take("v.class_embd");
  model.tensors.push_back(renamed(cls, kLlavaTower + "embeddings.class_embedding", {cls.elements()}));
  if (pinpoints.empty()) file.drop("model.image_newline");
  file.rename(names(file), model.tensors);
  model.image_token = "<image>";
  const std::size_t side = sizes.image_size;
  json processor = {{"image_processor_type", "CLIPImageProcessor"},
                    {"size", {{"shortest_edge", side}}},
                    {"resample", 3},
                    {"do_center_crop", true},
                    {"crop_size", {{"height", side}, {"width", side}}}};
  if (!pinpoints.empty()) {
    processor["image_processor_type"] = "LlavaNextImageProcessor";
    processor["image_grid_pinpoints"] = pinpoints;
  }
  model.processor = image_processor(file, processor.dump());
  const std::string activation = sizes.activation.empty()     ? "quick_gelu"
                                 : sizes.activation == "gelu" ? "gelu_pytorch_tanh"
                                                              : sizes.activation;
  json config = {{"architectures", {"LlavaForConditionalGeneration"}},
                 {"model_type", "llava"},
                 {"projector_hidden_act", "gelu"},
                 {"vision_feature_layer", feature_layer(metadata, sizes.layers)},
                 {"vision_feature_select_strategy", "default"},
                 {"vision_config",
                  {{"model_type", "clip_vision_model"},
                   {"hidden_size", sizes.hidden},
                   {"intermediate_size", sizes.ffn},
                   {"num_hidden_layers", sizes.layers},
                   {"num_attention_heads", sizes.heads},
                   {"image_size", side},
                   {"patch_size", sizes.patch_size},
                   {"layer_norm_eps", file.number("attention.layer_norm_epsilon", 1e-5)},
                   {"hidden_act", activation}}}};
  if (!pinpoints.empty()) {
    config["architectures"] = {"LlavaNextForConditionalGeneration"};
    config["model_type"] = "llava_next";
    config["image_grid_pinpoints"] = pinpoints;
  }
  model.config = whole_config(model, config.dump());
}

}  // namespace mmbatch::gguf
