// "idefics3", Idefics3 and SmolVLM: SigLIP on tiles and on the whole, pixel shuffle, one linear layer.

#include <nlohmann/json.hpp>

#include "fusion/families/gguf/projectors/projector_kinds.h"

namespace mmbatch::gguf {

using nlohmann::json;

void add_idefics3(TowerFile& file, Multimodal& model) {
  const TowerSizes sizes = file.sizes();
  put_below("model.text_model.", model.tensors, "model.");
  std::vector<RenamedTensor> names = clip_tower_names("model.vision_model.");
  names.emplace_back("mm.model.fc", "model.connector.modality_projection.proj");
  file.rename(names, model.tensors);
  model.image_token = "<image>";
  const std::size_t tile = sizes.image_size;
  // The published models' ratio, where an older file does not say up to which edge pictures are cut.
  const std::size_t edge = file.size("preproc_image_size", 4 * tile);
  model.processor = image_processor(file, json({{"image_processor_type", "Idefics3ImageProcessor"},
                                                {"max_image_size", {{"longest_edge", tile}}},
                                                {"size", {{"longest_edge", edge}}},
                                                {"do_image_splitting", true},
                                                {"do_pad", true},
                                                {"resample", 1}})
                                              .dump());
  const json config = {{"architectures", {"Idefics3ForConditionalGeneration"}},
                       {"model_type", "idefics3"},
                       {"scale_factor", file.size("projector.scale_factor", 2)},
                       {"vision_config",
                        {{"model_type", "idefics3_vision"},
                         {"hidden_size", sizes.hidden},
                         {"intermediate_size", sizes.ffn},
                         {"num_hidden_layers", sizes.layers},
                         {"num_attention_heads", sizes.heads},
                         {"image_size", tile},
                         {"patch_size", sizes.patch_size},
                         {"layer_norm_eps", sizes.norm_eps},
                         {"hidden_act", "gelu_pytorch_tanh"}}}};
  model.config = whole_config(model, config.dump());
}

}  // namespace mmbatch::gguf
