// mmproj files (general.architecture "clip"): a vision tower, and a projector whose kind is
// "clip.projector_type".

#include "fusion/families/gguf/projectors/projector_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "fusion/families/gguf/projectors/projector_kinds.h"

namespace mmbatch::gguf {
namespace {

using nlohmann::json;

const std::vector<ProjectorKind>& kinds() {
  static const std::vector<ProjectorKind> table = {
      {"mlp", {"llama", "mistral3", "qwen2"}, add_llava},
      {"gemma3", {"gemma3"}, add_gemma3},
      {"gemma4v", {"gemma4"}, add_gemma4},
      {"gemma4uv", {"gemma4"}, add_gemma4_unified},
      {"qwen2vl_merger", {"qwen2vl"}, add_qwen2_vl},
      {"qwen2.5vl_merger", {"qwen2vl"}, add_qwen2_5_vl},
      {"qwen3vl_merger", {"qwen3vl", "qwen3vlmoe", "qwen35", "qwen35moe"}, add_qwen3_vl},
      {"idefics3", {"llama"}, add_idefics3},
      {"internvl", {"llama", "qwen2", "qwen3", "qwen3moe", "gpt-oss"}, add_internvl},
      {"pixtral", {"llama", "mistral3"}, add_pixtral},
      {"glm4v", {"glm4"}, add_glm4v},
      {"paddleocr", {"paddleocr"}, add_paddleocr},
      {"deepseekocr2", {"deepseek2-ocr"}, add_deepseek_ocr2},
  };
  return table;
}

std::string listed(const std::vector<std::string_view>& names) {
  std::string text;
  for (const std::string_view name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

const ProjectorKind& find_kind(const Metadata& metadata) {
  const std::string architecture = metadata.text("general.architecture", "");
  if (architecture != "clip")
    metadata.fail("general.architecture",
                  fmt::format("'{}' is not an mmproj file, which is 'clip'", architecture.substr(0, 80)));
  const char* key =
      metadata.has("clip.vision.projector_type") ? "clip.vision.projector_type" : "clip.projector_type";
  const std::string name = metadata.text(key, "mlp");
  std::vector<std::string_view> names;
  for (const ProjectorKind& kind : kinds()) {
    if (kind.name == name) return kind;
    names.push_back(kind.name);
  }
  metadata.fail(key,
                fmt::format("'{}' is not supported; supported are {}", name.substr(0, 80), listed(names)));
}

}  // namespace

void add_projector(const GgufFile& projector, Multimodal& model) {
  const Metadata& metadata = projector.metadata();
  const ProjectorKind& kind = find_kind(metadata);
  const std::string text = model.text.text("general.architecture", "");
  if (std::find(kind.text_models.begin(), kind.text_models.end(), text) == kind.text_models.end()) {
    throw ModelError(
        fmt::format("{}: an mmproj file of kind {} goes with text models of architecture {}; {} is '{}'. "
                    "Give the one that "
                    "belongs to it with --mmproj, or --mmproj none for text alone",
                    metadata.source(), kind.name, listed(kind.text_models), model.text.source(), text));
  }
  TowerFile file(
      {.metadata = metadata, .tensors = projector.tensors(), .other_tensors = projector.other_tensors()},
      std::string(kind.name));
  kind.add(file, model);
}

void put_below(std::string_view prefix, std::vector<TensorView>& tensors, std::string_view old) {
  for (TensorView& tensor : tensors) {
    if (tensor.name.starts_with(old)) tensor.name = std::string(prefix) + tensor.name.substr(old.size());
  }
}

std::string whole_config(const Multimodal& model, std::string_view own) {
  json config = json::parse(own);
  const json text = json::parse(model.config);
  if (!config.contains("tie_word_embeddings")) config["tie_word_embeddings"] = text["tie_word_embeddings"];
  config["image_token_id"] = token_id(model.vocabulary, model.image_token);
  config["text_config"] = text;
  return config.dump();
}

std::string image_processor(const TowerFile& file, std::string_view own) {
  json processor = json::parse(own);
  processor.update({{"image_mean", file.mean()},
                    {"image_std", file.deviation()},
                    {"do_resize", true},
                    {"do_rescale", true},
                    {"rescale_factor", 1.0 / 255.0},
                    {"do_normalize", true},
                    {"do_convert_rgb", true}});
  return processor.dump();
}

}  // namespace mmbatch::gguf
