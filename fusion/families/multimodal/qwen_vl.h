#pragma once

#include <string>

#include "fusion/families/families.h"

namespace mmbatch {

// What the Qwen VL families share: towers that take images of any size in blocks of 2 x 2 patches, and
// decoders that turn each token by its place in time, row and column.

/// The parts of a config.json: published files of the first families have the text model's keys beside
/// vision_config, later ones and those that transformers 5 writes in text_config.
struct QwenConfigs {
  explicit QwenConfigs(const Config& config);

  Config text;
  Config vision;
};

/// A tower's sizes, which the families write under different keys.
struct QwenTowerSizes {
  std::int64_t patch_size = 14;  // and layers: where the config does not say
  std::int64_t layers = 32;
  std::size_t hidden = 0;
  std::size_t ffn = 0;
  std::size_t heads = 16;
  FeedForwardKind kind = FeedForwardKind::plain;
  Activation activation = Activation::gelu_tanh;
  NormKind norm = NormKind::layer;
  FeedForwardNames names;
};

/// The tower but for its positions and windows: patches, blocks, rotation.  @throws ModelError
VisionConfig qwen_tower(const Config& vision, const QwenTowerSizes& sizes);
/// The form in which it takes images.
OwnShape qwen_images(const VisionConfig& tower);

/// Where the norm of a merger stands.
enum class MergerNorm { before_merging, after_merging };

/// The names of a merger's parts, without ".weight".
struct MergerNames {
  std::string norm, first, second;
};

/// From the rows of a block's four patches to one row of the decoder's width: norm, merging, two linear
/// layers.
ProjectorConfig qwen_merger(const VisionConfig& tower, const MergerNames& names, MergerNorm norm,
                            std::size_t out);

/// The merger of Qwen2-VL and Qwen2.5-VL, by its tensors' names there, and the form of their images.
void add_qwen2_merger(VisionSpec& vision, std::size_t text_hidden);

/// What stands before the tower's tensors.
std::string qwen_tower_prefix(const WeightSource& weights);

/// Decoder, tokens and positions: everything but the images' way to the decoder.  @throws ModelError
ModelSpec qwen_spec(const std::string& family, const std::string& text_type, const Config& config,
                    const WeightSource& weights);

/// The tower and the merger of Qwen3-VL and what came after it: learned positions laid over each image.
/// Nothing is tapped for DeepStack yet.
VisionSpec qwen3_vision(const Config& vision, const WeightSource& weights, std::size_t text_hidden);
/// Qwen3-VL with one of its text models.
ModelSpec qwen3_vl_spec(const std::string& family, const std::string& text_type, const Config& config,
                        const WeightSource& weights);
/// What all of those text models have in common.  @param defaults of the class, but for its axes
DecoderConfig qwen3_vl_text(const Config& config, DecoderDefaults defaults);

/// What the Qwen 3.5 models share: the text model, but for its class defaults; its tensors and keys; the
/// whole.
DecoderConfig qwen3_5_text(const Config& config, DecoderDefaults defaults);
DecoderNames qwen3_5_names(const std::string& prefix);
KnownKeys qwen3_5_keys();
/// The same of a model without a tower.
ModelSpec qwen3_5_text_spec(const std::string& type, const Config& config, const WeightSource& weights);
ModelSpec qwen3_5_spec(const std::string& family, const std::string& text_type, const Config& config,
                       const WeightSource& weights);

/// How Qwen2-VL and its successors take videos: a token for each row of two frames' blocks.
VideoInput qwen_video(const VisionConfig& tower, VideoPositions positions);
/// The same since Qwen3-VL: each two frames between marks of their own, with their time before them.
VideoInput qwen3_video(const VisionConfig& tower);

/// A size of a vision_config.
std::size_t qwen_size(const Config& config, const std::string& key, std::int64_t otherwise);

}  // namespace mmbatch
