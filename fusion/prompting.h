#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fusion/compose.h"
#include "fusion/model.h"

namespace mmbatch {

/// A message of a dialogue.
struct Message {
  Role role = Role::user;
  std::string content;
  std::size_t images = 0;  // so many of the prompt's images, in their order, stand before the text
};

/// A picture's size, in pixels.
struct PictureSize {
  int width = 0;
  int height = 0;
};

/// How messages and images become a prompt of one model: the only place that knows where images stand, how
/// many tokens they take and which special tokens go around a text. Cheap to make; const and thread-safe.
class Prompting {
 public:
  /// @param model must outlive it
  explicit Prompting(const ModelFiles& model) : model_(model) {}

  /// Messages as text, with a placeholder for each image where the model has them in its text.
  /// @throws ItemError as TurnFormat::render()
  std::string render(const TurnFormat& format, std::span<const Message> messages) const;
  /// What follows the model's answer, up to where it is to answer a further question.
  std::string render_following(const TurnFormat& format, const std::string& question) const;

  /// The ids of a prompt's text, with one placeholder for each image: where the text has them, or, in a model
  /// that has images before its text, there, unless the text says otherwise.
  /// @param images of the prompt  @throws ItemError prompt_too_long
  std::vector<std::int32_t> encode(std::string_view text, std::size_t images) const;
  /// The ids of a text that goes on from a prompt and its answer.
  std::vector<std::int32_t> encode_following(std::string_view text) const;

  /// Tokens of the prompt that compose() makes of these ids and pictures.  @throws ItemError as compose()
  std::size_t tokens(std::span<const std::int32_t> ids, std::span<const PictureSize> pictures) const;
  /// Each placeholder becomes as many positions as its image has rows.  @throws ItemError
  std::shared_ptr<const Prompt> compose(std::span<const std::int32_t> ids,
                                        std::span<const EncodedImage> images) const;
  /// All of it: messages and their images in the model's own turn format.  @throws ItemError
  std::shared_ptr<const Prompt> operator()(std::span<const Message> messages,
                                           std::span<const EncodedImage> images) const;

 private:
  RenderOptions render_options() const;

  const ModelFiles& model_;
};

}  // namespace mmbatch
