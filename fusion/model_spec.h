#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/decoder/decoder_config.h"
#include "vision/encoder.h"
#include "vision/tiles.h"

namespace mmbatch {

/// How image features come to the decoder's width: one linear layer, or two with an activation between them.
struct ProjectorConfig {
  std::vector<StoredLinear> layers;  // in order
  std::size_t in = 0;
  std::optional<Activation> activation;
  Bias bias = Bias::present;
  float scale = 1.0f;  // of the result
};

/// The eyes of a model.
struct VisionSpec {
  VisionConfig encoder;
  std::string prefix;  // of the encoder's tensors
  ProjectorConfig projector;
  std::vector<GridPinpoint> pinpoints;  // not empty: images are seen whole and in tiles
  std::string newline;                  // with tiles: tensor that ends each row of features, [hidden]
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
  DecoderConfig decoder;
  DecoderNames decoder_names;
  std::optional<VisionSpec> vision;  // absent: text only

  std::string image_token = "<image>";
  std::int32_t image_token_id = -1;  // -1: none
  ImagePlacement placement = ImagePlacement::placeholders;
  bool prefix_lm = false;                // prompt positions see each other
  std::vector<std::int32_t> suppressed;  // placeholders and padding: never generated
  std::vector<std::int32_t> eos;
  std::string turn_format;  // name of the built-in used when the checkpoint brings no template
  std::string notes;        // what a person should know
};

}  // namespace mmbatch
