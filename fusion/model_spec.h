#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/decoder/decoder_config.h"
#include "engine/decoder/prompt_length.h"
#include "fusion/encoder/prompt_encoder_config.h"
#include "fusion/placing/image_place.h"
#include "fusion/placing/task_prompts.h"
#include "fusion/projector.h"
#include "fusion/similarity.h"
#include "fusion/video/video_input.h"
#include "text/encoder/text_encoder.h"
#include "text/regions/regions.h"
#include "vision/preprocess/budget/block_preprocessor.h"
#include "vision/preprocess/budget/edge_preprocessor.h"
#include "vision/preprocess/budget/soft_token_preprocessor.h"
#include "vision/preprocess/budget/split_preprocessor.h"
#include "vision/preprocess/grid/grid_rule.h"
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

/// Every image is cut into a grid of tiles of the tower's own size; the whole follows.
struct TilesAndWhole {
  GridRule rule;
  Resample resample = Resample::bicubic;  // where the image processor's file does not say
};

/// Every image keeps its own shape, up to a longest edge, and is taken patch by patch.
struct OwnShapeWithin {
  EdgeGeometry patches;
};

/// Every image keeps its own shape and fills a budget of rows, which is one of a few.
struct SoftTokens {
  SoftTokenGeometry geometry;
};

/// Small pictures keep their own shape within a budget of pixels; large ones are cut into a grid of tiles,
/// and the whole follows in its own shape.
struct OwnShapeOrTiles {
  SplitGeometry patches;
};

/// Large pictures are cut into tiles, and every picture is seen as a whole, padded to a square of another
/// size.
struct TilesAndPaddedWhole {};

using ImageForm = std::variant<OneSize, WholeAndTiles, TilesAndWhole, OwnShape, OwnShapeWithin, SoftTokens,
                               OwnShapeOrTiles, TilesAndPaddedWhole>;

/// What one of the tower's layers adds to the decoder (DeepStack, arXiv 2406.04334): its output, projected.
struct DeepStackTap {
  std::size_t layer = 0;
  ProjectorConfig projector;
};

/// Vision tower, projector and how images are brought to them.
struct VisionSpec {
  VisionConfig encoder;
  std::string prefix;         // of the encoder's tensors
  ProjectorConfig neck = {};  // what is done to the tower's rows before they are features; nothing: in is 0
  ProjectorConfig projector;
  std::vector<DeepStackTap> deepstack;  // added behind the decoder's first layers, one after another
  ImageForm form = OneSize{};
  ResizeBackend resize_backend = ResizeBackend::pillow_13;  // with OneSize and WholeAndTiles
  Resample resample = Resample::bicubic;  // with OneSize, where the image processor's file does not say

  /// An image becomes one row, an embedding.
  bool pools() const {
    return std::any_of(projector.ops.begin(), projector.ops.end(), [](const ProjectorOp& op) {
      return std::holds_alternative<PoolOp>(op) || std::holds_alternative<FirstRowOp>(op);
    });
  }
  /// Rows that an image, or each tile of one, becomes.
  std::size_t tile_tokens() const {
    return rows_of_tile(projector, {.rows = encoder.feature_tokens(), .grid = encoder.grid()});
  }
};

/// What is done to a text of a dual encoder before it is tokenized.
enum class TextForm {
  canonical,  // lower case, without punctuation, white space folded
  as_is,      // nothing: what is to be done, the tokenizer does
};

/// A model that tells how well an image and a text go together, and writes nothing: a text encoder beside the
/// vision encoder, both of whose outputs are one embedding.
struct DualEncoderSpec {
  TextEncoderConfig text;
  std::string text_prefix;  // of the text encoder's tensors
  TextForm text_form = TextForm::canonical;
  SimilarityConfig similarity;
};

/// Which positions of a prompt see later ones.
enum class PromptVisibility {
  causal,  // none
  prompt,  // all see each other: prefix-LM
  images,  // those of one image see each other
};

/// Whether the padding token may be generated where it is a piece of the vocabulary.
enum class PaddingToken { may_be_a_word, never_generated };

/// Whether rows of the vocabulary that no token of the tokenizer has may be generated.
enum class TokenlessRows { never_generated, may_come };

/// Whose ends of sequence count.
enum class EndsOfSequence { of_files, of_family };

/// Where image features are placed in a prompt.
enum class ImagePlacement {
  placeholders,       // in place of each placeholder token of the text
  before_text,        // before BOS and text; the text ends with a newline
  before_whole_text,  // before BOS, text and EOS: one image
  beside_text,        // nowhere: an encoder's layers attend to it, which is one image
};

/// What rotary embeddings turn the tokens of a prompt by.
enum class PromptPositions {
  indexes,      // each by its place in the prompt
  image_grids,  // image rows by time, row and column
};

/// A token that stands for something which the model could take and this program does not.
struct UnsupportedInput {
  std::string token;
  std::string what;  // "audio"
};

/// Everything that loading and running a checkpoint needs to know, as data. A family's file makes it from
/// config.json; nothing outside that file asks for the family's name.
struct ModelSpec {
  std::string family;
  DecoderConfig decoder;  // nothing in a dual encoder
  DecoderNames decoder_names;
  std::optional<PromptEncoderConfig> encoder;  // before the decoder, which attends to what it makes
  std::optional<VisionSpec> vision;            // absent: text only
  std::optional<VideoInput> video;             // absent: videos are given as images
  std::optional<DualEncoderSpec> dual;         // instead of a decoder

  std::string image_token = "<image>";
  std::int32_t image_token_id = -1;  // -1: none; behind the vocabulary: of the tokenizer alone
  ImagePlacement placement = ImagePlacement::placeholders;
  ImagePlace place;  // what is written where an image goes
  PromptVisibility visibility = PromptVisibility::causal;
  PromptPositions positions = PromptPositions::indexes;
  std::vector<std::int32_t> suppressed;  // placeholders and padding: never generated
  /// Tokens that the tokenizer has for other models of the family: this one has no rows for them.
  std::vector<std::string> rowless_tokens;
  /// Other tokens that stand for images or mark them: never generated either. Unknown ones are ignored.
  std::vector<std::string> placeholders;
  /// Prompts with one of these are refused; they are never generated either. Unknown ones are ignored.
  std::vector<UnsupportedInput> unsupported;
  PaddingToken padding = PaddingToken::may_be_a_word;
  TokenlessRows tokenless = TokenlessRows::never_generated;
  std::vector<std::int32_t> eos;
  EndsOfSequence ends = EndsOfSequence::of_files;
  std::vector<TaskPrompt> tasks;              // words that stand for requests
  RegionFormat regions = RegionFormat::none;  // how answers say where something is
  std::string turn_format;  // name of the built-in one that is used when the checkpoint brings no template
  std::string notes;        // what a person should know

  /// Whether a token of a prompt's text stands for rows of an image or of frames.
  bool is_placeholder(std::int32_t id) const {
    return id >= 0 && (id == image_token_id || (video && id == video->row_token_id));
  }
  /// What an image is in the text that templates render and people write.
  const std::string& mark() const { return place.written.empty() ? image_token : place.written; }
  /// Rows of the embedding table of tokens.
  std::size_t vocab() const { return dual ? dual->text.vocab : decoder.vocab; }
  /// Width of an image's rows.
  std::size_t width() const {
    if (encoder) return vision->projector.out();
    return dual ? dual->text.width : decoder.feature_width();
  }
  /// Tokens of a prompt at most.
  std::size_t longest_prompt() const {
    return encoder ? encoder->positions : mmbatch::longest_prompt(decoder.max_positions);
  }
  /// Prompts have one image each, no more and no less.
  bool needs_one_image() const {
    return placement == ImagePlacement::before_whole_text || placement == ImagePlacement::beside_text;
  }
};

}  // namespace mmbatch
