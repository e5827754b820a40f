#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fusion/compose.h"
#include "fusion/model.h"

namespace mmbatch {

/// A message of a dialogue.
using Message = Turn;

/// A picture's size, in pixels, or that of a group of frames.
struct PictureSize {
  int width = 0;
  int height = 0;
  std::size_t frames = 0;  // that the whole video shows; 0: it is a picture
};

/// A prompt's text, and whether the special tokens that the tokenizer's files put around a text, such as BOS,
/// are still to come: a chat template has written them.
struct RenderedPrompt {
  std::string text;
  SpecialTokens special = SpecialTokens::with;
  std::optional<ShownFrames> video = {};  // for which the text has a place
};

/// What a template sees beside messages and special tokens.
struct TemplateSettings {
  std::string variables = "{}";  // chat_template_kwargs, a JSON object
  std::string tools = {};        // JSON list of tool definitions; empty: none
  std::tm now = {};              // what strftime_now says
  /// What the images of the first message that has some are, where the model takes videos.
  std::optional<ShownFrames> video = {};
};

/// How messages and images become a prompt of one model: the only place that knows where images stand, how
/// many tokens they take and which special tokens go around a text. Cheap to make; const and thread-safe.
class Prompting {
 public:
  /// @param model must outlive it
  explicit Prompting(const ModelFiles& model) : model_(model) {}

  /// Messages as text, with a mark for each image where the model has them in its text.
  /// @throws ItemError as TurnFormat::render()
  RenderedPrompt render(const TurnFormat& format, std::span<const Message> messages,
                        const TemplateSettings& settings = {}) const;

  /// The ids of a prompt's text, with one placeholder for each image: where the text has them, or, in a model
  /// that has images before its text, there, unless the text says otherwise.
  /// @param images of the prompt; of a video, the groups of its frames  @throws ItemError prompt_too_long
  std::vector<std::int32_t> encode(const RenderedPrompt& prompt, std::size_t images) const;
  /// Of a text that is not a dialogue.
  std::vector<std::int32_t> encode(std::string_view text, std::size_t images) const {
    return encode(RenderedPrompt{std::string(text)}, images);
  }
  /// The ids of a text that goes on from a prompt and its answer.
  std::vector<std::int32_t> encode_following(std::string_view text) const;

  /// Tokens of the prompt that compose() makes of these ids and pictures.  @throws ItemError as compose()
  std::size_t tokens(std::span<const std::int32_t> ids, std::span<const PictureSize> pictures,
                     const ImageBudget& budget = {}) const;
  /// How the rows of a picture, or of a group of frames, lie in a prompt.  @throws ItemError
  FeatureMap layout(const PictureSize& picture, const ImageBudget& budget = {}) const;
  /// Each placeholder becomes the tokens of its image.  @throws ItemError
  std::shared_ptr<const Prompt> compose(std::span<const std::int32_t> ids,
                                        std::span<const EncodedImage> images) const;
  /// All of it: messages and their images in the model's own turn format.  @throws ItemError
  std::shared_ptr<const Prompt> operator()(std::span<const Message> messages,
                                           std::span<const EncodedImage> images) const;

 private:
  /// Images, BOS, the text with its task written out, EOS.
  std::vector<std::int32_t> encode_behind_images(const std::string& text, std::size_t images) const;
  /// The tokens of an image whose rows lie so.  @param placeholder that stands for it
  ImageIds image_ids(const FeatureMap& map, std::int32_t placeholder) const;

  const ModelFiles& model_;
};

}  // namespace mmbatch
