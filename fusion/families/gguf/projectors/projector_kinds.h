#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fusion/families/gguf/projectors/projector_file.h"
#include "fusion/families/gguf/projectors/tower_file.h"

namespace mmbatch::gguf {

/// A kind of mmproj file, by "clip.projector_type".
struct ProjectorKind {
  std::string_view name;
  std::vector<std::string_view> text_models;  // architectures that it goes with
  void (*add)(TowerFile& file, Multimodal& model);
};

// One function for each, in a file of its own. They take text tensors and config as those of a text-only
// model.
void add_llava(TowerFile& file, Multimodal& model);
void add_gemma3(TowerFile& file, Multimodal& model);
void add_gemma4(TowerFile& file, Multimodal& model);
void add_gemma4_unified(TowerFile& file, Multimodal& model);
void add_qwen2_vl(TowerFile& file, Multimodal& model);
void add_qwen2_5_vl(TowerFile& file, Multimodal& model);
void add_qwen3_vl(TowerFile& file, Multimodal& model);
void add_idefics3(TowerFile& file, Multimodal& model);
void add_internvl(TowerFile& file, Multimodal& model);
void add_pixtral(TowerFile& file, Multimodal& model);
void add_glm4v(TowerFile& file, Multimodal& model);
void add_paddleocr(TowerFile& file, Multimodal& model);
void add_deepseek_ocr2(TowerFile& file, Multimodal& model);

/// Writes `prefix` before all names, or in place of `old` where they begin with it.
void put_below(std::string_view prefix, std::vector<TensorView>& tensors, std::string_view old = "");

/// JSON of the whole: the kind's own keys, the text model's in "text_config", and the image token's id.
/// @param own JSON, with "vision_config"
std::string whole_config(const Multimodal& model, std::string_view own);

/// JSON of preprocessor_config.json: the kind's own keys, and the file's means and deviations.
std::string image_processor(const TowerFile& file, std::string_view own);

}  // namespace mmbatch::gguf
