// Files that Ollama made: the tower's tensors ("v.", "mm.") beside the text model's, its keys below
// "ARCHITECTURE.vision.". Names and keys become those of mmproj files.

#include "fusion/families/gguf/projectors/own_vision.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "fusion/families/gguf/projectors/projector_kinds.h"

namespace mmbatch::gguf {
namespace {

constexpr std::size_t kMaxMergers = 64;
const std::vector<double> kHalf = {0.5, 0.5, 0.5};
const std::vector<double> kClipMean = {0.48145466, 0.4578275, 0.40821073};
const std::vector<double> kClipDeviation = {0.26862954, 0.26130258, 0.27577711};

const std::vector<RenamedTensor> kGemma3 = {{"v.patch_embedding", "v.patch_embd"},
                                            {"v.position_embedding", "v.position_embd"},
                                            {"v.post_layernorm", "v.post_ln"},
                                            {"v.blk.{}.layer_norm1", "v.blk.{}.ln1"},
                                            {"v.blk.{}.layer_norm2", "v.blk.{}.ln2"},
                                            {"v.blk.{}.attn_output", "v.blk.{}.attn_out"},
                                            {"v.blk.{}.mlp.fc1", "v.blk.{}.ffn_up"},
                                            {"v.blk.{}.mlp.fc2", "v.blk.{}.ffn_down"},
                                            {"mm.mm_input_projection", "mm.input_projection"},
                                            {"mm.mm_soft_emb_norm", "mm.soft_emb_norm"}};

const std::vector<RenamedTensor> kMistral3 = {{"v.patch_conv", "v.patch_embd"},
                                              {"v.encoder_norm", "v.pre_ln"},
                                              {"v.blk.{}.attn_norm", "v.blk.{}.ln1"},
                                              {"v.blk.{}.ffn_norm", "v.blk.{}.ln2"},
                                              {"v.blk.{}.attn_output", "v.blk.{}.attn_out"},
                                              {"mm.norm", "mm.input_norm"},
                                              {"mm.patch_merger.merging_layer", "mm.patch_merger"},
                                              {"mm.linear_1", "mm.1"},
                                              {"mm.linear_2", "mm.2"}};

const std::vector<RenamedTensor> kQwen25 = {{"v.patch_embd_0", "v.patch_embd"},
                                            {"v.patch_embd_1.weight", "v.patch_embd.weight.1"},
                                            {"v.merger.ln_q", "v.post_ln"},
                                            {"v.merger.mlp.0", "mm.0"},
                                            {"v.merger.mlp.2", "mm.2"}};

const std::vector<RenamedTensor> kQwen3 = {{"v.patch_embed.bias", "v.patch_embd.bias"},
                                           {"v.pos_embed", "v.position_embd"},
                                           {"v.blk.{}.norm1", "v.blk.{}.ln1"},
                                           {"v.blk.{}.norm2", "v.blk.{}.ln2"},
                                           {"v.blk.{}.mlp.linear_fc1", "v.blk.{}.ffn_up"},
                                           {"v.blk.{}.mlp.linear_fc2", "v.blk.{}.ffn_down"},
                                           {"v.merger.norm", "v.post_ln"},
                                           {"v.merger.linear_fc1", "mm.0"},
                                           {"v.merger.linear_fc2", "mm.2"}};

/// What one architecture's files have.
struct Kind {
  std::string_view architecture, kind;
  const std::vector<RenamedTensor>& names;
  const std::vector<double>&mean, &deviation;
  void (*add)(TowerFile& file, Multimodal& model);
};

const std::vector<Kind>& own_kinds() {
  static const std::vector<Kind> table = {
      {"gemma3", "gemma3", kGemma3, kHalf, kHalf, add_gemma3},
      {"mistral3", "pixtral", kMistral3, kClipMean, kClipDeviation, add_pixtral},
      {"qwen25vl", "qwen2.5vl_merger", kQwen25, kClipMean, kClipDeviation, add_qwen2_5_vl},
      {"qwen3vl", "qwen3vl_merger", kQwen3, kHalf, kHalf, add_qwen3_vl},
      {"qwen3vlmoe", "qwen3vl_merger", kQwen3, kHalf, kHalf, add_qwen3_vl},
  };
  return table;
}

/// Sizes that these files have under other keys, or not at all.
std::map<std::string, std::size_t> sizes_of(const Metadata& metadata) {
  std::map<std::string, std::size_t> sizes;
  const auto own = [&](const char* key) { return own_key(metadata, key); };
  if (!metadata.has(own("vision.image_size"))) sizes["image_size"] = 0;  // any size
  if (metadata.has(own("spatial_merge_size")))
    sizes["spatial_merge_size"] = metadata.size(own("spatial_merge_size"), 2);
  for (const auto& [key, name] :
       {std::pair{"vision.shortest_edge", "image_min_pixels"}, {"vision.longest_edge", "image_max_pixels"}}) {
    if (const std::size_t pixels = metadata.size(own(key), 0); pixels > 0) sizes[name] = pixels;
  }
  const std::size_t tokens = metadata.size(own("mm.tokens_per_image"), 0);
  const std::size_t patch = metadata.size(own("vision.patch_size"), 0);
  const auto side = static_cast<std::size_t>(std::sqrt(static_cast<double>(tokens)));
  if (side == 0 || patch == 0) return sizes;
  if (side * side != tokens)
    metadata.fail(own("mm.tokens_per_image"), fmt::format("{} is not a square", tokens));
  sizes["projector.scale_factor"] = metadata.size(own("vision.image_size"), 0) / patch / side;
  return sizes;
}

/// DeepStack's mergers by the layers that they tap, as mmproj files number them.
std::vector<RenamedTensor> merger_names(const Metadata& metadata) {
  std::vector<RenamedTensor> names;
  const std::vector<std::int64_t> layers =
      metadata.integers(own_key(metadata, "vision.deepstack_visual_indexes"));
  if (layers.size() > kMaxMergers) {
    metadata.fail(own_key(metadata, "vision.deepstack_visual_indexes"),
                  fmt::format("{} layers, at most {} are possible", layers.size(), kMaxMergers));
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::string from = fmt::format("v.deepstack_merger.{}.", i);
    const std::string to = fmt::format("v.deepstack.{}.", layers[i]);
    names.insert(
        names.end(),
        {{from + "norm", to + "norm"}, {from + "linear_fc1", to + "fc1"}, {from + "linear_fc2", to + "fc2"}});
  }
  return names;
}

bool is_of_vision(const std::string& name) {
  return name.starts_with("v.") || name.starts_with("mm.");
}

}  // namespace

OwnVision take_own_vision(Tensors& stored, const std::map<std::string, std::string>& other_tensors) {
  OwnVision vision;
  for (auto at = stored.begin(); at != stored.end();) {
    if (!is_of_vision(at->first)) {
      ++at;
      continue;
    }
    vision.tensors.insert(*at);
    at = stored.erase(at);
  }
  for (const auto& other : other_tensors) {
    if (is_of_vision(other.first)) vision.other_tensors.insert(other);
  }
  return vision;
}

void add_own_vision(OwnVision vision, Multimodal& model) {
  const std::string text = model.text.text("general.architecture", "");
  const auto kind = std::find_if(own_kinds().begin(), own_kinds().end(),
                                 [&](const Kind& one) { return one.architecture == text; });
  if (kind == own_kinds().end()) {
    std::string known;
    for (const Kind& one : own_kinds()) known += (known.empty() ? "" : ", ") + std::string(one.architecture);
    throw ModelError(fmt::format(
        "{}: holds a vision tower beside the text model ('{}'), which is supported for files of "
        "architecture {} only; this is '{}': give --mmproj none for text alone, or take the text model and "
        "its mmproj file, or the published checkpoint",
        model.text.source(), vision.tensors.begin()->first, known, text));
  }
  std::vector<RenamedTensor> names = kind->names;
  const std::vector<RenamedTensor> more = merger_names(model.text);
  names.insert(names.end(), more.begin(), more.end());
  TowerFile file({.metadata = model.text,
                  .keys = own_key(model.text, "vision."),
                  .tensors = put_names(names, vision.tensors),
                  .other_tensors = std::move(vision.other_tensors),
                  .sizes = sizes_of(model.text),
                  .mean = kind->mean,
                  .deviation = kind->deviation,
                  .rows = RotaryRows::halves},
                 std::string(kind->kind));
  kind->add(file, model);
}

}  // namespace mmbatch::gguf
