#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "fusion/families/parts.h"
#include "fusion/family.h"
#include "fusion/keys/known_keys.h"

namespace mmbatch {

// One function a file of this folder; the table is in fusion/family.cpp.
Family llava_family();
Family llava_next_family();
Family paligemma_family();
Family llama_family();
Family ministral3_family();
Family mistral_family();
Family gemma_family();
Family gemma2_family();
Family siglip_family();
Family qwen2_family();
Family qwen3_family();
Family idefics3_family();
Family clip_family();
Family qwen3_moe_family();
Family gpt_oss_family();
Family qwen2_vl_family();
Family qwen2_5_vl_family();
Family qwen3_vl_family();
Family qwen3_vl_moe_family();
Family qwen3_5_family();
Family qwen3_5_moe_family();
Family qwen3_5_text_family();
Family qwen3_5_moe_text_family();
Family gemma3_family();
Family internvl_family();
Family mistral3_family();
Family gemma3_text_family();
Family gemma4_family();
Family gemma4_unified_family();
Family gemma4_text_family();
Family smollm3_family();
Family phi3_family();
Family granite_family();
Family olmo2_family();
Family gpt2_family();
Family lfm2_family();
Family lfm2_vl_family();
Family glm_ocr_family();
Family paddleocr_vl_family();
Family blip_family();
Family florence2_family();
Family deepseek_ocr2_family();

/// A decoder's tensors in a checkpoint: they tell class defaults of different years apart.
struct StoredDecoder {
  const WeightSource& weights;
  DecoderNames names;

  /// True when no stored width and no number of layers speaks against this config.
  bool fits(const DecoderConfig& config) const;
};

/// Whether a config that says nothing means a head of its own, or the embedding, or the latter only where no
/// head is stored.
enum class DefaultHead { stored, embedding, if_stored };

/// The decoder of a text family: what its config means, and where its tensors are.
struct TextFamily {
  DecoderConfig (*parse)(const Config& config, const StoredDecoder& stored);
  DecoderNames (*names)(const std::string& prefix) = llama_names;
  DefaultHead head = DefaultHead::stored;
  KnownKeys keys = {};  // of its config, beside those that all text models have
  /// What must be there to tell which prefix the tensors have.
  const char* probe = "embed_tokens.weight";
  /// The key for how many layers are stored behind the model's own that guess tokens ahead; null: none.
  const char* guessing_layers = nullptr;
};

// One function for each text family, in its file; the table is in text_models.cpp.
TextFamily llama_decoder();
TextFamily mistral_decoder();
TextFamily ministral3_decoder();
TextFamily gemma_decoder();
TextFamily gemma2_decoder();
TextFamily qwen2_decoder();
TextFamily qwen3_decoder();
TextFamily qwen3_moe_decoder();
TextFamily gpt_oss_decoder();
TextFamily qwen2_vl_decoder();
TextFamily qwen3_vl_decoder();
TextFamily qwen3_vl_moe_decoder();
TextFamily qwen3_5_decoder();
TextFamily qwen3_5_moe_decoder();
TextFamily gemma3_decoder();
TextFamily gemma4_decoder();
TextFamily gemma4_unified_decoder();
TextFamily smollm3_decoder();
TextFamily phi3_decoder();
TextFamily granite_decoder();
TextFamily olmo2_decoder();
TextFamily gpt2_decoder();
TextFamily lfm2_decoder();
TextFamily glm_ocr_decoder();
TextFamily paddleocr_vl_decoder();
TextFamily deepseek_ocr2_decoder();
/// The tensors of Gemma 2 and 3, whose layers have norms before and after each half.
DecoderNames gemma2_names(const std::string& prefix);

/// Which layers have a window in the Qwen families: where use_sliding_window says that there are any, those
/// from max_window_layers on.  @throws ModelError
void set_qwen_windows(DecoderConfig& decoder, const Config& config);

/// The text family of a model_type; null where there is none.
const TextFamily* text_family(const std::string& type);

/// Where a text model is described and stored: a config of its own, or one inside a multimodal config.
struct TextModelPlace {
  const Config& text;
  const Config& outer;  // the whole file; the same for a text-only model
  const WeightSource& weights;
  std::initializer_list<const char*> prefixes;  // what may stand before "embed_tokens.weight"
};

struct TextModel {
  DecoderConfig decoder;
  DecoderNames names;
};

/// The decoder of a text family, by its model_type, and where its tensors are. A stored head counts unless
/// the text config, or the family's default, ties it to the embedding.
/// @throws ModelError that lists the supported types
TextModel read_text_model(const std::string& type, const TextModelPlace& place);

/// A text-only model: everything but its family's name and its ends of sequence is the decoder.
ModelSpec read_text_only(const std::string& type, const Config& config, const WeightSource& weights);

/// What config.json says nothing of, of a model that takes images and texts.
struct ImageTextDefaults {
  std::string family;
  std::string text_type;  // where text_config has no model_type
  std::int64_t image_token_id = 0;
};

/// A model of images and texts as far as text_config and the placeholder of images tell: the caller adds its
/// vision, and what else is its own.
/// @param prefixes what may stand before "embed_tokens.weight"  @throws ModelError
ModelSpec read_image_text(const Config& config, const WeightSource& weights,
                          const ImageTextDefaults& defaults,
                          std::initializer_list<const char*> prefixes = {"language_model.model.",
                                                                         "model.language_model."});

/// The vision tower of a config that does not say which.
struct TowerDefaults {
  std::string type = "clip_vision_model";
  VisionDefaults sizes;
};

/// A vision tower by its model_type, with the class defaults of that type.
/// @param otherwise where no type is named  @throws ModelError that lists the supported types
VisionConfig parse_vision_tower(const Config& vision_config, const TowerDefaults& otherwise);

/// Vision tower and projector of the LLaVA kind: the output of one of the tower's layers, two linear layers.
VisionSpec parse_llava_vision(const Config& config, const WeightSource& weights, std::size_t text_hidden);
/// What LLaVA's classes leave out of a text model, as transformers has them: rows of images are not scaled as
/// Gemma's embeddings are, and logits are what the head makes, without Gemma 2's soft-cap or Granite's
/// divisor.
/// @param spec whose projector is complete
void set_llava_text(const Config& config, ModelSpec& spec);

/// What stands before the names of a projector's tensors.  @param probe a tensor of it
std::string projector_prefix(const WeightSource& weights, const std::string& probe);

/// What stands before the tensors of a CLIP or SigLIP tower inside a larger model: transformers up to 5.22
/// and published files have "vision_model." in it, 5.23 leaves it out of models that it made itself.
std::string clip_tower_prefix(const WeightSource& weights);
/// What resized the images that a LLaVA or a PaliGemma was published with: Pillow, or, for a folder that
/// transformers 5 wrote, what that takes by default, torchvision.
ResizeBackend resize_backend_of(const WeightSource& weights);

/// Pixtral's tower, its prefix, and which of its layers is read, by vision_config and vision_feature_layer.
/// @throws ModelError
void add_pixtral_tower(const Config& config, const WeightSource& weights, VisionSpec& vision);
/// Placeholder, marks of rows and turns of the models that Mistral trained with it.
void set_pixtral_turns(ModelSpec& spec);

/// A tower's rotary embedding of rows and columns, by its "rope_parameters".
/// @param theta where they have none  @throws ModelError for another rope_type than axial
GridRope parse_grid_rope(const Config& vision_config, double theta = 10000.0);

/// Holds the tower's num_hidden_layers to what is stored.  @throws ModelError that names both numbers
void check_tower_layers(const Config& vision_config, const WeightSource& weights, const VisionSpec& vision);

/// Keys of a part of an encoder-decoder, by its model_type, beside those that others have too; null: it is
/// none.
const KnownKeys* encoder_decoder_keys(const std::string& type);

/// The id of the image placeholder.
std::int32_t parse_image_token(const Config& config, std::int64_t otherwise, std::size_t vocab);

}  // namespace mmbatch
