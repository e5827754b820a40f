#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/decoder/decoder_config.h"
#include "fusion/projector.h"
#include "text/encoder/text_encoder.h"
#include "vision/preprocess/budget/block_preprocessor.h"
#include "vision/preprocess/tiles.h"
#include "vision/tower/encoder.h"

namespace mmbatch {

/// Every image is brought to the tower's own size.
struct OneSize {};

/// Every image is seen whole, in the tower's own size, and in tiles of it.
struct WholeAndTiles {
  std::vector<GridPinpoint> pinpoints;
};

/// Every image keeps its own shape, within a budget of pixels, and is taken in blocks of patches.
struct OwnShape {
  BlockGeometry blocks;
};

using ImageForm = std::variant<OneSize, WholeAndTiles, OwnShape>;

/// What one of the tower's layers adds to the decoder (DeepStack, arXiv 2406.04334): its output, projected.
struct DeepStackTap {
  std::size_t layer = 0;
  ProjectorConfig projector;
};

/// Vision tower, projector and how images are brought to them.
struct VisionSpec {
  VisionConfig encoder;
  std::string prefix;  // of the encoder's tensors
  ProjectorConfig projector;
  std::vector<DeepStackTap> deepstack;  // added behind the decoder's first layers, one after another
  ImageForm form = OneSize{};

  /// An image becomes one row, an embedding.
  bool pools() const {
    return std::any_of(projector.ops.begin(), projector.ops.end(),
                       [](const ProjectorOp& op) { return std::holds_alternative<PoolOp>(op); });
  }
  /// Rows that an image, or each tile of one, becomes.
  std::size_t tile_tokens() const { return pools() ? 1 : encoder.feature_tokens(); }
};

/// A model that tells how well an image and a text go together, and writes nothing: a text encoder beside the
/// vision encoder, both of whose outputs are one embedding.
struct DualEncoderSpec {
  TextEncoderConfig text;
  std::string text_prefix;              // of the text encoder's tensors
  std::string logit_scale, logit_bias;  // names of the scalars
};

/// Where image features stand in a prompt.
enum class ImagePlacement {
  placeholders,  // in place of each placeholder token of the text
  before_text,   // before BOS and text; the text ends with a newline
};

/// Everything that loading and running a checkpoint needs to know, as data. A family's file makes it from
/// config.json; nothing outside that file asks for the family's name.
struct ModelSpec {
  std::string family;
  DecoderConfig decoder;  // nothing in a dual encoder
  DecoderNames decoder_names;
  std::optional<VisionSpec> vision;     // absent: text only
  std::optional<DualEncoderSpec> dual;  // instead of a decoder

  std::string image_token = "<image>";
  std::int32_t image_token_id = -1;  // -1: none
  std::string image_mark;   // what stands for an image in a prompt's text, as chat templates write it; empty:
                            // image_token
  std::string image_frame;  // what takes the mark's place before the text is tokenized, such as image_token
                            // between marks of its own; empty: image_token
  ImagePlacement placement = ImagePlacement::placeholders;
  bool prefix_lm = false;                // prompt positions see each other
  std::vector<std::int32_t> suppressed;  // placeholders and padding: never generated
  std::vector<std::int32_t> eos;
  std::string turn_format;  // name of the built-in one that is used when the checkpoint brings no template
  std::string notes;        // what a person should know

  /// What stands for an image in a prompt's text.
  const std::string& mark() const { return image_mark.empty() ? image_token : image_mark; }
  /// Rows of the embedding table of tokens.
  std::size_t vocab() const { return dual ? dual->text.vocab : decoder.vocab; }
  /// Width of an image's rows.
  std::size_t width() const { return dual ? dual->text.width : decoder.hidden; }
};

}  // namespace mmbatch
