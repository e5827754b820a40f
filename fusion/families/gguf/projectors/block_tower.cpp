#include "fusion/families/gguf/projectors/block_tower.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/weights/derived.h"
#include "fusion/families/gguf/architecture.h"

namespace mmbatch::gguf {
namespace {

using nlohmann::json;

const std::string kTower(kQwenTower), kBlocks = "v.blk.";

}  // namespace

void put_frame_patches(TowerFile& file, Multimodal& model) {
  if (const std::string whole = "v.patch_embed.weight"; file.has(whole)) {
    const TensorView both = file.take(whole);
    const std::vector<std::size_t>& shape = both.shape;
    if (shape.size() != 4 || shape[0] % 3 != 0)
      file.fail(whole,
                fmt::format("its shape {} is not that of convolutions of three colours", shape_text(shape)));
    const std::vector<std::size_t> own = {shape[0] / 3, 3, shape[1], shape[2], shape[3]};
    return model.tensors.push_back(renamed(both, kTower + "patch_embed.proj.weight", own));
  }
  const TensorView first = file.take("v.patch_embd.weight"), second = file.take("v.patch_embd.weight.1");
  if (first.shape.size() != 4 || first.shape != second.shape) {
    file.fail(second.name, fmt::format("its shape {} and that of '{}', {}, are not two equal convolutions",
                                       shape_text(second.shape), first.name, shape_text(first.shape)));
  }
  const std::vector<std::size_t>& shape = first.shape;
  model.tensors.push_back(alternating(
      {first, second}, shape[2] * shape[3],
      {.name = kTower + "patch_embed.proj.weight", .shape = {shape[0], shape[1], 2, shape[2], shape[3]}}));
}

void put_joined_attention(TowerFile& file, Multimodal& model) {
  for (const std::string& name : file.names_below(kBlocks)) {
    const std::string part = ".attn_q.";
    const std::size_t at = name.find(part);
    if (at == std::string::npos || at <= kBlocks.size()) continue;
    const std::string block = name.substr(0, at), ending = name.substr(at + part.size());
    std::vector<TensorView> parts;
    for (const char* one : {".attn_q.", ".attn_k.", ".attn_v."})
      parts.push_back(file.take(block + one + ending));
    std::vector<std::size_t> shape = parts[0].shape;
    for (const TensorView& one : parts) {
      if (one.shape != shape || shape.empty())
        file.fail(one.name, fmt::format("its shape {} differs from that of '{}', {}", shape_text(one.shape),
                                        name, shape_text(shape)));
    }
    shape[0] *= parts.size();
    model.tensors.push_back(alternating(
        parts, parts[0].elements(),
        {.name = fmt::format("{}blocks.{}.attn.qkv.{}", kTower, block.substr(kBlocks.size()), ending),
         .shape = shape}));
  }
}

void describe_axes(Multimodal& model, const std::string& type, const TextAxes& otherwise) {
  json text = json::parse(model.config);
  text["model_type"] = type;
  std::string key = own_key(model.text, "rope.dimension_sections");
  for (const char* other : {"rope.mrope_section", "mrope_sections"}) {
    if (!model.text.has(key)) key = own_key(model.text, other);
  }
  std::vector<std::int64_t> sections = model.text.integers(key);
  if (sections.empty()) sections.assign(otherwise.sections.begin(), otherwise.sections.end());
  if (sections.size() == 4 && sections.back() == 0) sections.pop_back();
  if (sections.size() != 3)
    model.text.fail(key,
                    fmt::format("{} sections, expected those of time, rows and columns", sections.size()));
  if (text.contains("rope_scaling"))
    model.text.fail(own_key(model.text, "rope.scaling.type"),
                    "is not supported with positions of three axes");
  text["rope_scaling"] = {{"rope_type", "default"}, {"mrope_section", sections}};
  if (otherwise.order == AxisOrder::interleaved) text["rope_scaling"]["mrope_interleaved"] = true;
  model.config = text.dump();
}

}  // namespace mmbatch::gguf
