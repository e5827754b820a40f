// "gemma4v", a transformer whose rows are averaged over squares, and "gemma4uv", large patches and three
// norms. What such a file has for hearing is left out.

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/weights/derived.h"
#include "fusion/families/gguf/projectors/projector_kinds.h"

namespace mmbatch::gguf {
namespace {

using nlohmann::json;

const std::string kGemma4Tower = "model.vision_tower.", kGemma4Layer = kGemma4Tower + "encoder.layers.{}.";
const std::string kEmbedder = "model.vision_embedder.";
constexpr std::size_t kMaxSide = 1024;

constexpr const char* kBounds[] = {".input_min", ".input_max", ".output_min", ".output_max"};

/// A part of a layer that is a matrix, perhaps with bounds, whose names lack what the matrix's has.
void add_linear(const std::string& own, const std::string& other, std::vector<RenamedTensor>& names) {
  names.emplace_back("v.blk.{}." + own + ".weight", kGemma4Layer + other + ".linear.weight");
  for (const char* bound : kBounds)
    names.emplace_back("v.blk.{}." + own + bound, kGemma4Layer + other + bound);
}

std::vector<RenamedTensor> tower_names() {
  std::vector<RenamedTensor> names = {
      {"v.blk.{}.attn_q_norm", kGemma4Layer + "self_attn.q_norm"},
      {"v.blk.{}.attn_k_norm", kGemma4Layer + "self_attn.k_norm"},
      {"v.blk.{}.ln1", kGemma4Layer + "input_layernorm"},
      {"v.blk.{}.ln2", kGemma4Layer + "pre_feedforward_layernorm"},
      {"v.blk.{}.attn_post_norm", kGemma4Layer + "post_attention_layernorm"},
      {"v.blk.{}.ffn_post_norm", kGemma4Layer + "post_feedforward_layernorm"},
      {"v.position_embd.weight", kGemma4Tower + "patch_embedder.position_embedding_table"},
      {"v.std_bias", kGemma4Tower + "std_bias"},
      {"v.std_scale", kGemma4Tower + "std_scale"},
      {"mm.input_projection", "model.embed_vision.embedding_projection"}};
  add_linear("attn_q", "self_attn.q_proj", names);
  add_linear("attn_k", "self_attn.k_proj", names);
  add_linear("attn_v", "self_attn.v_proj", names);
  add_linear("attn_out", "self_attn.o_proj", names);
  add_linear("ffn_gate", "mlp.gate_proj", names);
  add_linear("ffn_up", "mlp.up_proj", names);
  add_linear("ffn_down", "mlp.down_proj", names);
  return names;
}

std::vector<RenamedTensor> embedder_names() {
  return {{"v.patch_embd.bias", kEmbedder + "patch_dense.bias"},
          {"v.patch_norm.2", kEmbedder + "patch_ln2"},
          {"v.patch_norm.3", kEmbedder + "pos_norm"},
          {"mm.input_projection", "model.embed_vision.embedding_projection"}};
}

/// Where the values of a patch, which are stored colour by colour, lie pixel by pixel.
std::vector<std::uint32_t> by_pixels(std::size_t side) {
  std::vector<std::uint32_t> places;
  for (std::size_t pixel = 0; pixel < side * side; ++pixel) {
    for (std::size_t colour = 0; colour < 3; ++colour)
      places.push_back(static_cast<std::uint32_t>(colour * side * side + pixel));
  }
  return places;
}

void put_patches(TowerFile& file, std::size_t side, const std::string& name, Multimodal& model) {
  const TensorView stored = file.take("v.patch_embd.weight");
  const std::vector<std::uint32_t> places = by_pixels(side);
  if (stored.cols() != places.size())
    file.fail(stored.name, "its rows are not patches of three colours of clip.vision.patch_size");
  std::vector<ColumnRange> ranges;
  for (const std::uint32_t place : places) ranges.push_back({place, 1});
  const TensorView matrix = renamed(stored, stored.name, {stored.rows(), stored.cols()});
  model.tensors.push_back(some_columns(matrix, name, std::move(ranges)));
}

void put_norm_of_values(TowerFile& file, std::size_t side, Multimodal& model) {
  const std::vector<std::uint32_t> places = by_pixels(side);
  for (const std::string ending : {".weight", ".bias"}) {
    const TensorView stored = file.take("v.patch_norm.1" + ending);
    if (stored.shape.size() != 1 || stored.rows() != places.size())
      file.fail(stored.name, "is not as long as a patch of clip.vision.patch_size");
    model.tensors.push_back(reordered_rows(stored, kEmbedder + "patch_ln1" + ending, places));
  }
}

/// Stored axis by axis, read place by place.
std::size_t put_positions(TowerFile& file, Multimodal& model) {
  const TensorView stored = file.take("v.position_embd.weight");
  if (stored.shape.size() != 3 || stored.shape[0] != 2 || stored.elements() > UINT32_MAX)
    file.fail(stored.name, "is not a table for each of two axes");
  const std::size_t places = stored.shape[1], width = stored.shape[2];
  std::vector<std::uint32_t> row_of;
  for (std::size_t place = 0; place < places; ++place) {
    for (std::size_t axis = 0; axis < 2; ++axis)
      row_of.push_back(static_cast<std::uint32_t>(axis * places + place));
  }
  const TensorView rows = renamed(stored, stored.name, {2 * places, width});
  const std::string name = kEmbedder + "pos_embedding";
  model.tensors.push_back(renamed(reordered_rows(rows, name, std::move(row_of)), name, {places, 2, width}));
  return places;
}

std::size_t pool_of(const TowerFile& file) {
  return file.size("projector.scale_factor", 3);
}

void finish(const TowerFile& file, const std::string& kind, const json& vision, Multimodal& model) {
  const std::size_t patch = vision["patch_size"], pool = vision["pooling_kernel_size"];
  const std::size_t square = patch * pool * patch * pool;
  model.image_token = "<|image|>";
  // The published models' budget, where the file does not say how many pixels a picture has at most.
  const std::size_t tokens = file.size("image_max_pixels", 280 * square) / std::max<std::size_t>(square, 1);
  model.processor = image_processor(file, json({{"image_processor_type", "Gemma4ImageProcessor"},
                                                {"max_soft_tokens", tokens},
                                                {"patch_size", patch},
                                                {"pooling_kernel_size", pool},
                                                {"resample", 3}})
                                              .dump());
  const bool unified = kind == "gemma4_unified";
  json config = {{"architectures",
                  {unified ? "Gemma4UnifiedForConditionalGeneration" : "Gemma4ForConditionalGeneration"}},
                 {"model_type", kind},
                 {"vision_config", vision}};
  config["vision_config"]["model_type"] = kind + "_vision";
  json text = json::parse(model.config);
  text["model_type"] = kind + "_text";
  model.config = text.dump();
  model.config = whole_config(model, config.dump());
}

void drop_audio(TowerFile& file) {
  for (const char* prefix : {"a.", "mm.a."}) {
    for (const std::string& name : file.names_below(prefix)) file.drop(name);
  }
}

double norm_eps(const TowerFile& file) {
  return file.number("attention.layer_norm_epsilon", 1e-6);
}

}  // namespace

void add_gemma4(TowerFile& file, Multimodal& model) {
  const TowerSizes sizes = file.sizes();
  const TensorView& positions = file.tensor("v.position_embd.weight");
  if (positions.shape.size() != 3) file.fail(positions.name, "is not a table for each of two axes");
  const json vision = {{"hidden_size", sizes.hidden},
                       {"intermediate_size", sizes.ffn},
                       {"num_hidden_layers", sizes.layers},
                       {"num_attention_heads", sizes.heads},
                       {"num_key_value_heads", sizes.heads},
                       {"head_dim", file.tensor("v.blk.0.attn_q.weight").rows() / sizes.heads},
                       {"patch_size", sizes.patch_size},
                       {"pooling_kernel_size", pool_of(file)},
                       {"position_embedding_size", positions.shape[1]},
                       {"rms_norm_eps", norm_eps(file)},
                       {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 100.0}}},
                       {"hidden_activation", "gelu_pytorch_tanh"},
                       {"standardize", file.has("v.std_scale")},
                       {"use_clipped_linears", file.has("v.blk.0.attn_q.input_max")}};
  put_below("model.language_model.", model.tensors, "model.");
  drop_audio(file);
  put_patches(file, sizes.patch_size, kGemma4Tower + "patch_embedder.input_proj.weight", model);
  file.rename(tower_names(), model.tensors);
  finish(file, "gemma4", vision, model);
}

void add_gemma4_unified(TowerFile& file, Multimodal& model) {
  const std::size_t hidden = file.size("embedding_length"), patch = file.size("patch_size");
  const std::size_t pool = pool_of(file);
  if (patch * pool > kMaxSide)
    file.metadata().fail(file.key("patch_size"),
                         fmt::format("{}, and projector.scale_factor is {}: their product may be at most {}",
                                     patch, pool, kMaxSide));
  put_below("model.language_model.", model.tensors, "model.");
  drop_audio(file);
  put_patches(file, patch * pool, kEmbedder + "patch_dense.weight", model);
  put_norm_of_values(file, patch * pool, model);
  const std::size_t places = put_positions(file, model);
  file.rename(embedder_names(), model.tensors);
  finish(file, "gemma4_unified",
         {{"mm_embed_dim", hidden},
          {"output_proj_dims", hidden},
          {"mm_posemb_size", places},
          {"patch_size", patch},
          {"pooling_kernel_size", pool},
          {"model_patch_size", patch * pool},
          {"rms_norm_eps", norm_eps(file)}},
         model);
}

}  // namespace mmbatch::gguf
