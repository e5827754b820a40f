#include "fusion/families/gguf/projectors/tower_file.h"

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/weights/derived.h"

namespace mmbatch::gguf {
namespace {

constexpr std::string_view kBlocks = "v.blk.";
constexpr std::size_t kMaxLayers = 4096;

/// "v.blk.7.ffn_up.weight" in its parts.
struct NameParts {
  std::string block;   // "7"; empty: outside of all blocks
  std::string whole;   // "v.blk.{}.ffn_up.weight"
  std::string stem;    // "v.blk.{}.ffn_up"
  std::string ending;  // ".weight"
};

NameParts take_apart(const std::string& name) {
  NameParts parts;
  parts.whole = name;
  if (name.starts_with(kBlocks)) {
    const std::size_t end = name.find('.', kBlocks.size());
    if (end != std::string::npos) {
      parts.block = name.substr(kBlocks.size(), end - kBlocks.size());
      parts.whole = std::string(kBlocks) + "{}" + name.substr(end);
    }
  }
  const std::size_t dot = parts.whole.rfind('.');
  parts.stem = parts.whole.substr(0, dot);
  parts.ending = dot == std::string::npos ? "" : parts.whole.substr(dot);
  return parts;
}

std::string with_block(std::string_view name, const std::string& block) {
  const std::size_t at = name.find("{}");
  if (at == std::string_view::npos) return std::string(name);
  return std::string(name.substr(0, at)) + block + std::string(name.substr(at + 2));
}

std::string_view look_up(const std::vector<RenamedTensor>& names, std::string_view name) {
  for (const auto& [own, other] : names) {
    if (own == name) return other;
  }
  return {};
}

}  // namespace

std::vector<RenamedTensor> clip_tower_names(const std::string& prefix) {
  const std::string layer = prefix + "encoder.layers.{}.";
  return {{"v.patch_embd", prefix + "embeddings.patch_embedding"},
          {"v.position_embd", prefix + "embeddings.position_embedding"},
          {"v.pre_ln", prefix + "pre_layrnorm"},
          {"v.post_ln", prefix + "post_layernorm"},
          {"v.blk.{}.attn_q", layer + "self_attn.q_proj"},
          {"v.blk.{}.attn_k", layer + "self_attn.k_proj"},
          {"v.blk.{}.attn_v", layer + "self_attn.v_proj"},
          {"v.blk.{}.attn_out", layer + "self_attn.out_proj"},
          {"v.blk.{}.ln1", layer + "layer_norm1"},
          {"v.blk.{}.ln2", layer + "layer_norm2"},
          {"v.blk.{}.ffn_up", layer + "mlp.fc1"},
          {"v.blk.{}.ffn_down", layer + "mlp.fc2"}};
}

TowerFile::TowerFile(const GgufFile& file, std::string kind)
    : file_(file), kind_(std::move(kind)), tensors_(file.tensors()) {}

std::size_t TowerFile::size(const std::string& key) const {
  const std::string full = "clip.vision." + key;
  if (!metadata().has(full)) metadata().fail(full, "missing");
  return metadata().size(full, 0);
}

std::size_t TowerFile::size(const std::string& key, std::size_t otherwise) const {
  return metadata().size("clip.vision." + key, otherwise);
}

bool TowerFile::exchanged() const {
  const auto down = tensors_.find("v.blk.0.ffn_down.weight");
  const auto up = tensors_.find("v.blk.0.ffn_up.weight");
  const std::size_t width = metadata().size("clip.vision.embedding_length", 0);
  return down != tensors_.end() && up != tensors_.end() && down->second.cols() == width &&
         up->second.cols() != width;
}

TowerSizes TowerFile::sizes() const {
  TowerSizes sizes;
  sizes.hidden = size("embedding_length");
  sizes.layers = size("block_count");
  sizes.heads = size("attention.head_count");
  sizes.image_size = size("image_size");
  sizes.patch_size = size("patch_size");
  // Of some kinds, the key has another number: what is stored decides.
  const std::string first = exchanged() ? "v.blk.0.ffn_down.weight" : "v.blk.0.ffn_up.weight";
  sizes.ffn = has(first) ? tensor(first).rows() : size("feed_forward_length");
  for (const auto& [key, number] : {std::pair{"embedding_length", sizes.hidden},
                                    {"attention.head_count", sizes.heads},
                                    {"patch_size", sizes.patch_size}}) {
    if (number == 0) metadata().fail(std::string("clip.vision.") + key, "must be above 0");
  }
  if (sizes.layers > kMaxLayers)
    metadata().fail("clip.vision.block_count",
                    fmt::format("{} blocks, at most {} are possible", sizes.layers, kMaxLayers));
  sizes.norm_eps = metadata().number("clip.vision.attention.layer_norm_epsilon", 1e-6);
  if (metadata().flag("clip.use_gelu", false)) sizes.activation = "gelu";
  if (metadata().flag("clip.use_silu", false)) sizes.activation = "silu";
  return sizes;
}

const TensorView& TowerFile::tensor(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) return found->second;
  if (const auto other = file_.other_tensors().find(name); other != file_.other_tensors().end())
    fail(name, fmt::format("is stored as {}, which is not a number with fractions", other->second));
  fail(name, fmt::format("is missing, which a projector of kind {} has", kind_));
}

TensorView TowerFile::take(const std::string& name) {
  TensorView taken = tensor(name);
  tensors_.erase(name);
  return taken;
}

std::vector<std::string> TowerFile::names_below(const std::string& prefix) const {
  std::vector<std::string> names;
  for (auto at = tensors_.lower_bound(prefix); at != tensors_.end() && at->first.starts_with(prefix); ++at)
    names.push_back(at->first);
  return names;
}

void TowerFile::rename(const std::vector<RenamedTensor>& names, std::vector<TensorView>& out) {
  const bool swap = exchanged();
  for (const auto& [name, tensor] : tensors_) {
    NameParts parts = take_apart(name);
    const bool up = parts.stem == "v.blk.{}.ffn_up", down = parts.stem == "v.blk.{}.ffn_down";
    if (swap && (up || down)) {
      parts.stem = up ? "v.blk.{}.ffn_down" : "v.blk.{}.ffn_up";
      parts.whole = parts.stem + parts.ending;
    }
    std::string found(look_up(names, parts.whole));
    if (found.empty()) {
      const std::string_view stem = look_up(names, parts.stem);
      if (stem.empty()) fail(name, fmt::format("has no place in a projector of kind {}", kind_));
      found = std::string(stem) + parts.ending;
    }
    out.push_back(renamed(tensor, with_block(found, parts.block), tensor.shape));
  }
  tensors_.clear();
}

void TowerFile::fail(const std::string& tensor, const std::string& problem) const {
  throw ModelError(fmt::format("{}: tensor '{}': {}", metadata().source(), tensor, problem));
}

}  // namespace mmbatch::gguf
