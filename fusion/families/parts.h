#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/config.h"
#include "engine/weights/weight_source.h"
#include "fusion/model_spec.h"

namespace mmbatch {

/// Whether a family can rotate a part of each head.
enum class RotatedPart { whole, any };

/// What config.json says nothing of, of a rotary embedding.
struct RopeDefaults {
  double theta = 10000.0;
  std::int64_t max_positions = 2048;
  std::int64_t original_positions = 0;  // 0: max_position_embeddings
  std::size_t head_dim = 0;             // as it was read
  RotatedPart part = RotatedPart::whole;
  std::map<std::string, std::string> other_names = {};  // of types, as a family's older files have them
  /// Which of rope_parameters' members is meant, where a family has one for each kind of layer_types.
  std::string layers = {};
  std::optional<RopeAxes> axes = {};  // where positions have three axes: how they share the frequencies out
  bool growing_queries = false;       // whether yarn may say how queries grow with their position
};

/// What config.json says nothing of: the class defaults of a decoder.
struct DecoderDefaults {
  std::int64_t vocab = 32000;
  std::int64_t hidden = 4096;
  std::int64_t ffn = 11008;
  std::int64_t layers = 32;
  std::int64_t heads = 32;
  std::int64_t kv_heads = 0;  // 0: as many as heads
  std::int64_t head_dim = 0;  // 0: hidden / heads
  double norm_eps = 1e-6;
  double rope_theta = 10000.0;
  std::int64_t max_positions = 2048;
  std::int64_t original_positions = 0;  // 0: as max_positions
  RotatedPart rotated = RotatedPart::whole;
  std::map<std::string, std::string> rope_names = {};  // other names of rope types
  std::string rope_layers = {};  // "full_attention" where rope_parameters may have a member for each kind
  std::optional<RopeAxes> rope_axes = {};
  bool growing_queries = false;
  std::string activation_key = "hidden_act";
  Activation activation = Activation::silu;

  RopeDefaults rope(std::size_t head_dim_read) const {
    return {rope_theta, max_positions, original_positions, head_dim_read,  rotated,
            rope_names, rope_layers,   rope_axes,          growing_queries};
  }
};

/// Reads what all decoders of the Llama kind share: widths, heads, norms, rotary embedding and its scaling,
/// biases; all layers alike. The caller adds what is its own, layer by layer.  @throws ModelError
DecoderConfig parse_decoder(const Config& config, const DecoderDefaults& defaults);

/// The rotary embedding, in each of the spellings of transformers 4 and 5.
/// @throws ModelError for a kind, or a key of one, that is not supported, and for a key that is missing
RopeConfig parse_rope(const Config& config, const RopeDefaults& defaults);

/// The tensors of a decoder of the Llama kind, without a head.  @param prefix "model."
DecoderNames llama_names(const std::string& prefix);

/// The tensors of an encoder's layers of the CLIP kind, below the encoder's own prefix.
LayerNames clip_layer_names();

/// "sliding_window": null means none.  @throws ModelError
std::size_t parse_window(const Config& config, std::int64_t otherwise);
/// A soft-cap on logits, above 0; null means none, which is 0.  @throws ModelError
float parse_softcap(const Config& config, const std::string& key, double otherwise);

/// Which layers see a window only: by "layer_types", else by the family's rule.
/// @param window in tokens, 0: none  @throws ModelError for layer_types that do not fit
void set_windows(DecoderConfig& decoder, const Config& config, std::size_t window,
                 const std::function<bool(std::size_t layer)>& windowed);

struct LayerCount {
  std::size_t layers = 0;  // by the config
  std::size_t needed = 0;  // that are computed
};
/// Holds num_hidden_layers to the layers that are stored: one too many or one too few gives another model.
/// @throws ModelError that names both numbers
void check_layer_count(const Config& config, const WeightSource& weights, const LayerNames& names,
                       LayerCount count);

/// What config.json says nothing of: the class defaults of an encoder's transformer.
struct EncoderDefaults {
  std::int64_t hidden = 768;
  std::int64_t ffn = 3072;
  std::int64_t layers = 12;
  std::int64_t heads = 12;
  Activation activation = Activation::quick_gelu;
  double norm_eps = 1e-5;
};

/// And of its images.
struct VisionDefaults : EncoderDefaults {
  std::int64_t image_size = 224;
  std::int64_t patch_size = 32;
};

/// And of its texts.
struct TextDefaults : EncoderDefaults {
  std::int64_t vocab = 32000;
  std::int64_t positions = 64;
};

/// Reads what all vision transformers share.  @throws ModelError
VisionConfig parse_vision(const Config& config, const VisionDefaults& defaults);

/// Reads the text transformer of a dual encoder; its embedding is `projection_size` wide, or as its rows.
/// @throws ModelError
TextEncoderConfig parse_text_encoder(const Config& config, const TextDefaults& defaults);

/// The first `n` transformer layers' output is hidden_states[n]: -1 is the last block's, -2 the one before.
/// @throws ModelError when there is no such layer
std::size_t layers_to_run(const Config& config, const std::string& key, std::int64_t otherwise,
                          std::size_t layers);

/// The side of a pixel shuffle's squares, which must divide a grid of patches.  @throws ModelError
std::size_t parse_shuffle_factor(const Config& config, const std::string& key, std::int64_t otherwise,
                                 const PatchGrid& grid);

/// "gelu", "gelu_pytorch_tanh", "quick_gelu", "silu", "swish", …  @throws ModelError that lists them
Activation parse_activation(const Config& config, const std::string& key, Activation otherwise);

}  // namespace mmbatch
