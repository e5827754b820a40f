// "deepseekocr2", DeepSeek-OCR 2: a tower of SAM's kind, convolutions, and the layers of Qwen 2, in which
// learned queries read each grid.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/weights/derived.h"
#include "fusion/families/gguf/projectors/projector_kinds.h"

namespace mmbatch::gguf {
namespace {

using nlohmann::json;

/// What two convolutions behind the patches make of each side of a grid: one of four.
constexpr std::size_t kSmaller = 4;

const std::string kSam = "model.sam_model.", kEncoder = "model.qwen2_model.";

std::vector<RenamedTensor> deepseek_ocr2_names() {
  const std::string block = kSam + "blocks.{}.", layer = kEncoder + "model.model.layers.{}.";
  std::vector<RenamedTensor> names = {{"v.sam.patch_embd", kSam + "patch_embed.proj"},
                                      {"v.sam.blk.{}.pre_ln", block + "norm1"},
                                      {"v.sam.blk.{}.post_ln", block + "norm2"},
                                      {"v.sam.blk.{}.attn.qkv", block + "attn.qkv"},
                                      {"v.sam.blk.{}.attn.out", block + "attn.proj"},
                                      {"v.sam.blk.{}.attn.pos_h.weight", block + "attn.rel_pos_h"},
                                      {"v.sam.blk.{}.attn.pos_w.weight", block + "attn.rel_pos_w"},
                                      {"v.sam.blk.{}.mlp.lin1", block + "mlp.lin1"},
                                      {"v.sam.blk.{}.mlp.lin2", block + "mlp.lin2"},
                                      {"v.blk.{}.attn_q", layer + "self_attn.q_proj"},
                                      {"v.blk.{}.attn_k", layer + "self_attn.k_proj"},
                                      {"v.blk.{}.attn_v", layer + "self_attn.v_proj"},
                                      {"v.blk.{}.attn_out", layer + "self_attn.o_proj"},
                                      {"v.blk.{}.ln1", layer + "input_layernorm"},
                                      {"v.blk.{}.ln2", layer + "post_attention_layernorm"},
                                      {"v.blk.{}.ffn_gate", layer + "mlp.gate_proj"},
                                      {"v.blk.{}.ffn_up", layer + "mlp.up_proj"},
                                      {"v.blk.{}.ffn_down", layer + "mlp.down_proj"},
                                      {"v.post_ln", kEncoder + "model.model.norm"},
                                      {"v.resample_query_768", kEncoder + "query_768"},
                                      {"v.resample_query_1024", kEncoder + "query_1024"},
                                      {"mm.model.fc", "model.projector.layers"}};
  for (const char* part : {"neck.0", "neck.1", "neck.2", "neck.3", "net_2", "net_3"})
    names.emplace_back(std::string("v.sam.") + part, kSam + part);
  return names;
}

/// The side of a square of so many places.
std::size_t square_side(const TowerFile& file, const std::string& tensor, std::size_t places) {
  std::size_t side = 1;
  while (side * side < places) ++side;
  if (side * side != places) file.fail(tensor, fmt::format("has {} places, which are not a square", places));
  return side;
}

std::size_t patch_size(const TowerFile& file) {
  const TensorView& patches = file.tensor("v.sam.patch_embd.weight");
  if (patches.shape.size() != 4)
    file.fail(patches.name,
              fmt::format("its shape {} is not that of a convolution", shape_text(patches.shape)));
  return patches.shape.back();
}

/// Layers that see the whole grid have distances of the whole grid, the others those of a window.
json whole_layers(const TowerFile& file, std::size_t layers, std::size_t window) {
  auto whole = json::array();
  for (std::size_t i = 0; i < layers; ++i) {
    if (file.tensor(fmt::format("v.sam.blk.{}.attn.pos_h.weight", i)).rows() != 2 * window - 1)
      whole.push_back(i);
  }
  return whole;
}

/// "sam_config", whose sizes are those of the tensors: the file's keys are of the published size.
/// @param side of the grid of learned positions
json describe_sam(const TowerFile& file, std::size_t side) {
  const std::size_t layers = file.size("sam.block_count"), window = file.size("window_size", 14);
  if (!file.names_below(fmt::format("v.sam.blk.{}.", layers)).empty())
    file.metadata().fail(
        file.key("sam.block_count"),
        fmt::format("{} blocks, but there are tensors of 'v.sam.blk.{}' too", layers, layers));
  const std::size_t hidden = file.size("sam.embedding_length"), heads = file.size("sam.head_count");
  if (hidden % heads != 0)
    file.metadata().fail(file.key("sam.head_count"),
                         fmt::format("{} does not divide sam.embedding_length {}", heads, hidden));
  return {{"model_type", "deepseek_ocr2_sam_vision_model"},
          {"hidden_size", hidden},
          {"num_hidden_layers", layers},
          {"num_attention_heads", heads},
          {"mlp_dim", file.tensor("v.sam.blk.0.mlp.lin1.weight").rows()},
          {"image_size", side * patch_size(file)},
          {"patch_size", patch_size(file)},
          {"window_size", window},
          {"global_attn_indexes", whole_layers(file, layers, window)},
          {"output_channels", file.tensor("v.sam.neck.0.weight").rows()},
          {"downsample_channels",
           {file.tensor("v.sam.net_2.weight").rows(), file.tensor("v.sam.net_3.weight").rows()}},
          {"layer_norm_eps", 1e-6},
          {"hidden_act", "gelu"}};
}

}  // namespace

void add_deepseek_ocr2(TowerFile& file, Multimodal& model) {
  const TowerSizes sizes = file.sizes();
  const TensorView positions = file.take("v.sam.pos_embd.weight"), mark = file.take("v.view_seperator");
  const std::size_t width = file.size("sam.embedding_length");
  const std::size_t kv_heads = file.size("attention.head_count_kv");
  if (sizes.heads % kv_heads != 0)
    file.metadata().fail(file.key("attention.head_count_kv"),
                         fmt::format("{} does not divide attention.head_count {}", kv_heads, sizes.heads));
  const std::size_t side = square_side(file, positions.name, positions.elements() / width);
  const json sam = describe_sam(file, side);
  const std::string queries = "v.resample_query_768.weight";
  const std::size_t tile =
      square_side(file, queries, file.tensor(queries).rows()) * kSmaller * patch_size(file);
  model.tensors.push_back(renamed(positions, kSam + "pos_embed", {1, side, side, width}));
  model.tensors.push_back(renamed(mark, "model.view_seperator", {mark.elements()}));
  file.rename(deepseek_ocr2_names(), model.tensors);
  model.image_token = "<image>";
  const std::size_t whole = sam["image_size"];
  const TowerFile::Tiles tiles = file.tiles({2, 6});
  model.processor = image_processor(file, json({{"image_processor_type", "DeepseekOcr2ImageProcessor"},
                                                {"size", {{"height", whole}, {"width", whole}}},
                                                {"tile_size", tile},
                                                {"crop_to_patches", true},
                                                {"min_patches", tiles.least},
                                                {"max_patches", tiles.most},
                                                {"background_color", {127, 127, 127}},
                                                {"resample", 3}})
                                              .dump());
  const json config = {{"architectures", {"DeepseekOcr2ForConditionalGeneration"}},
                       {"model_type", "deepseek_ocr2"},
                       {"vision_config",
                        {{"model_type", "deepseek_ocr2_vision"},
                         {"sam_config", sam},
                         {"encoder_config",
                          {{"model_type", "deepseek_ocr2_encoder"},
                           {"hidden_size", sizes.hidden},
                           {"intermediate_size", sizes.ffn},
                           {"num_hidden_layers", sizes.layers},
                           {"num_attention_heads", sizes.heads},
                           {"num_key_value_heads", kv_heads},
                           {"max_position_embeddings", 131072},
                           {"rms_norm_eps", sizes.norm_eps},
                           {"rope_theta", 1000000.0},
                           {"hidden_act", "silu"}}}}}};
  model.config = whole_config(model, config.dump());
}

}  // namespace mmbatch::gguf
