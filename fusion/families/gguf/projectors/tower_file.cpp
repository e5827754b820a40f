#include "fusion/families/gguf/projectors/tower_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "engine/base/error.h"
#include "engine/weights/derived.h"

namespace mmbatch::gguf {
namespace {

constexpr std::string_view kBlocks[] = {"v.blk.", "v.sam.blk."};

constexpr std::size_t kMaxLayers = 4096, kMaxWidth = 1 << 20, kMaxPixels = std::size_t{1} << 40;

struct KeyRange {
  std::string_view name;
  std::size_t most;  // the least is 1
};

/// Any tower's keys. A config.json is made of them, whose own checks would name keys that nobody sees who has
/// an mmproj file.
constexpr KeyRange kRanges[] = {
    {"embedding_length", kMaxWidth},
    {"feed_forward_length", kMaxWidth},
    {"block_count", kMaxLayers},
    {"attention.head_count", kMaxWidth},
    {"image_size", 8192},
    {"patch_size", 1024},
    {"projector.scale_factor", 64},
    {"spatial_merge_size", 64},
    {"window_size", 8192},
    {"preproc_image_size", 4096},
    {"preproc_min_tiles", 256},
    {"preproc_max_tiles", 256},
    {"image_min_pixels", kMaxPixels},
    {"image_max_pixels", kMaxPixels},
    {"attention.head_count_kv", kMaxWidth},
    {"sam.embedding_length", kMaxWidth},
    {"sam.block_count", kMaxLayers},
    {"sam.head_count", kMaxWidth},
};

/// What a mean or a deviation of a colour may be: as the image processors have it.
constexpr double kLargest = 1000.0, kLeastDeviation = 1e-4;

/// Three numbers in a range.
std::vector<double> read_colours(const Metadata& metadata, const std::string& key, double least) {
  std::vector<double> values = metadata.numbers(key);
  if (values.size() != 3) metadata.fail(key, fmt::format("expected three numbers, found {}", values.size()));
  for (const double value : values) {
    if (!(value >= least && value <= kLargest))
      metadata.fail(key, fmt::format("expected numbers from {} to {}, found {}", least, kLargest, value));
  }
  return values;
}

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
  for (const std::string_view blocks : kBlocks) {
    const std::size_t end = name.starts_with(blocks) ? name.find('.', blocks.size()) : std::string::npos;
    if (end == std::string::npos) continue;
    parts.block = name.substr(blocks.size(), end - blocks.size());
    parts.whole = std::string(blocks) + "{}" + name.substr(end);
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

std::map<std::string, TensorView> put_names(const std::vector<RenamedTensor>& names,
                                            const std::map<std::string, TensorView>& tensors) {
  std::map<std::string, TensorView> out;
  for (const auto& [name, tensor] : tensors) {
    const NameParts parts = take_apart(name);
    std::string found(look_up(names, parts.whole));
    if (found.empty()) {
      const std::string_view stem = look_up(names, parts.stem);
      found = stem.empty() ? parts.whole : std::string(stem) + parts.ending;
    }
    if (!out.emplace(with_block(found, parts.block), tensor).second)
      throw ModelError(fmt::format("tensor '{}': another one of the file has the same meaning", name));
  }
  return out;
}

TowerFile::TowerFile(TowerPlace place, std::string kind) : place_(std::move(place)), kind_(std::move(kind)) {}

bool TowerFile::has_key(const std::string& name) const {
  return place_.sizes.count(name) > 0 || metadata().has(key(name));
}

std::size_t TowerFile::size(const std::string& name) const {
  if (!has_key(name)) metadata().fail(key(name), "missing");
  return size(name, 0);
}

std::size_t TowerFile::size(const std::string& name, std::size_t otherwise) const {
  const auto given = place_.sizes.find(name);
  if (given != place_.sizes.end()) return given->second;
  if (!metadata().has(key(name))) return otherwise;
  const std::size_t value = metadata().size(key(name), otherwise);
  const auto range = std::find_if(std::begin(kRanges), std::end(kRanges),
                                  [&](const KeyRange& one) { return one.name == name; });
  if (range != std::end(kRanges) && (value < 1 || value > range->most))
    metadata().fail(key(name), fmt::format("expected an integer from 1 to {}, found {}", range->most, value));
  return value;
}

double TowerFile::number(const std::string& name, double otherwise) const {
  return metadata().number(key(name), otherwise);
}

TowerFile::Tiles TowerFile::tiles(Tiles otherwise) const {
  const Tiles tiles{size("preproc_min_tiles", otherwise.least), size("preproc_max_tiles", otherwise.most)};
  if (tiles.least <= tiles.most) return tiles;
  const char* given = metadata().has(key("preproc_max_tiles")) ? "preproc_max_tiles" : "preproc_min_tiles";
  metadata().fail(key(given), fmt::format("at least {} tiles, at most {}", tiles.least, tiles.most));
}

std::vector<double> TowerFile::mean() const {
  return colours("image_mean", place_.mean, -kLargest);
}

std::vector<double> TowerFile::deviation() const {
  return colours("image_std", place_.deviation, kLeastDeviation);
}

std::vector<double> TowerFile::colours(const std::string& name, const std::vector<double>& otherwise,
                                       double least) const {
  if (metadata().has(key(name))) return read_colours(metadata(), key(name), least);
  if (otherwise.empty()) metadata().fail(key(name), "missing");
  return otherwise;
}

bool TowerFile::exchanged() const {
  const auto down = place_.tensors.find("v.blk.0.ffn_down.weight");
  const auto up = place_.tensors.find("v.blk.0.ffn_up.weight");
  const std::size_t width = size("embedding_length", 0);
  return down != place_.tensors.end() && up != place_.tensors.end() && down->second.cols() == width &&
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
  // Where they are not keys of the tower, they are made of others.
  for (const auto& [name, number] : {std::pair{"embedding_length", sizes.hidden},
                                     {"attention.head_count", sizes.heads},
                                     {"patch_size", sizes.patch_size}}) {
    if (number == 0) metadata().fail(key(name), "must be above 0");
  }
  // 0 is that of any picture.
  if (sizes.image_size > 0 && sizes.image_size < sizes.patch_size)
    metadata().fail(key("image_size"), fmt::format("{}, a patch of patch_size has {} pixels",
                                                   sizes.image_size, sizes.patch_size));
  const auto patches = place_.tensors.find("v.patch_embd.weight");
  if (patches != place_.tensors.end() && patches->second.shape.size() == 4 &&
      patches->second.shape.back() != sizes.patch_size)
    metadata().fail(key("patch_size"), fmt::format("{}, tensor '{}' has the shape {}", sizes.patch_size,
                                                   patches->first, shape_text(patches->second.shape)));
  check_blocks(sizes);
  sizes.norm_eps = number("attention.layer_norm_epsilon", 1e-6);
  if (sizes.norm_eps < 0)
    metadata().fail(key("attention.layer_norm_epsilon"),
                    fmt::format("{}: must be at least 0", sizes.norm_eps));
  if (metadata().flag("clip.use_gelu", false)) sizes.activation = "gelu";
  if (metadata().flag("clip.use_silu", false)) sizes.activation = "silu";
  return sizes;
}

void TowerFile::check_blocks(const TowerSizes& sizes) const {
  const auto first = [&](const std::string& name) -> const TensorView* {
    const auto found = place_.tensors.find(name);
    return found == place_.tensors.end() ? nullptr : &found->second;
  };
  if (const TensorView* norm = first("v.blk.0.ln1.weight");
      norm != nullptr && norm->elements() != sizes.hidden)
    metadata().fail(key("embedding_length"), fmt::format("{}, tensor '{}' has {} numbers", sizes.hidden,
                                                         norm->name, norm->elements()));
  // Where heads are not shares of the width, their number has to divide something else.
  const TensorView* queries = first("v.blk.0.attn_q.weight");
  if (sizes.hidden % sizes.heads != 0 && (queries == nullptr || queries->rows() == sizes.hidden))
    metadata().fail(key("attention.head_count"),
                    fmt::format("{} does not divide embedding_length {}", sizes.heads, sizes.hidden));
  const auto stored = [&](std::size_t block) {
    return !names_below(fmt::format("v.blk.{}.", block)).empty();
  };
  if (!stored(0)) return;  // taking them says what is missing
  for (std::size_t i = 0; i < sizes.layers; ++i) {
    if (stored(i)) continue;
    metadata().fail(key("block_count"),
                    fmt::format("{} blocks, but no tensor of 'v.blk.{}' is there", sizes.layers, i));
  }
  if (stored(sizes.layers))
    metadata().fail(key("block_count"), fmt::format("{} blocks, but there are tensors of 'v.blk.{}' too",
                                                    sizes.layers, sizes.layers));
}

const TensorView& TowerFile::tensor(const std::string& name) const {
  const auto found = place_.tensors.find(name);
  if (found != place_.tensors.end()) return found->second;
  if (const auto other = place_.other_tensors.find(name); other != place_.other_tensors.end())
    fail(name, fmt::format("is stored as {}, which is not a floating-point type", other->second));
  fail(name, fmt::format("is missing, which a projector of kind {} has", kind_));
}

TensorView TowerFile::take(const std::string& name) {
  TensorView taken = tensor(name);
  place_.tensors.erase(name);
  return taken;
}

std::vector<std::string> TowerFile::names_below(const std::string& prefix) const {
  std::vector<std::string> names;
  for (auto at = place_.tensors.lower_bound(prefix);
       at != place_.tensors.end() && at->first.starts_with(prefix); ++at)
    names.push_back(at->first);
  return names;
}

void TowerFile::rename(const std::vector<RenamedTensor>& names, std::vector<TensorView>& out) {
  const bool swap = exchanged();
  for (const auto& [name, tensor] : place_.tensors) {
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
  place_.tensors.clear();
}

void TowerFile::fail(const std::string& tensor, const std::string& problem) const {
  throw ModelError(fmt::format("{}: tensor '{}': {}", metadata().source(), tensor, problem));
}

}  // namespace mmbatch::gguf
