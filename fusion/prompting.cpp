#include "fusion/prompting.h"

#include <algorithm>

namespace mmbatch {

RenderOptions Prompting::render_options() const {
  RenderOptions options;
  options.image_placeholder = model_.spec.image_token;
  const Tokenizer& tokenizer = *model_.tokenizer;
  if (const auto eos = tokenizer.eos()) options.eos = std::string(tokenizer.piece(*eos));
  return options;
}

std::string Prompting::render(const TurnFormat& format, std::span<const Message> messages) const {
  const bool in_text = model_.spec.placement == ImagePlacement::placeholders;
  RenderOptions options = render_options();
  std::vector<Turn> turns;
  bool first_user = true;
  for (const Message& message : messages) {
    Turn turn{message.role, message.content};
    // The format knows where the images of the first question stand; those of later messages precede them.
    if (message.role == Role::user && first_user) {
      options.images = in_text ? static_cast<int>(message.images) : 0;
      first_user = false;
    } else {
      for (std::size_t i = 0; in_text && i < message.images; ++i)
        turn.content.insert(0, model_.spec.image_token + "\n");
    }
    turns.push_back(std::move(turn));
  }
  return format.render(turns, options);
}

std::string Prompting::render_following(const TurnFormat& format, const std::string& question) const {
  return format.render_following(question, render_options());
}

std::vector<std::int32_t> Prompting::encode(std::string_view text, std::size_t images) const {
  const Tokenizer& tokenizer = *model_.tokenizer;
  if (model_.spec.placement == ImagePlacement::placeholders) return tokenizer.encode(text);
  // BOS stands between images and text, whatever the tokenizer's files say of it.
  const auto bos = tokenizer.bos();
  std::vector<std::int32_t> ids = tokenizer.encode(text, bos ? SpecialTokens::without : SpecialTokens::with);
  const std::int32_t placeholder = model_.spec.image_token_id;
  auto text_begin = std::find(ids.rbegin(), ids.rend(), placeholder).base();
  if (text_begin == ids.begin()) {
    ids.insert(ids.begin(), images, placeholder);
    text_begin = ids.begin() + static_cast<std::ptrdiff_t>(images);
  }
  if (bos) ids.insert(text_begin, *bos);
  return ids;
}

std::vector<std::int32_t> Prompting::encode_following(std::string_view text) const {
  return model_.tokenizer->encode_continuation(text);
}

std::size_t Prompting::tokens(std::span<const std::int32_t> ids,
                              std::span<const PictureSize> pictures) const {
  check_placeholders(model_.spec, ids, pictures.size());
  std::size_t count = ids.size() - pictures.size();
  for (const PictureSize& picture : pictures) count += model_.images->tokens(picture.width, picture.height);
  return count;
}

std::shared_ptr<const Prompt> Prompting::compose(std::span<const std::int32_t> ids,
                                                 std::span<const EncodedImage> images) const {
  return mmbatch::compose(model_.spec, ids, images);
}

std::shared_ptr<const Prompt> Prompting::operator()(std::span<const Message> messages,
                                                    std::span<const EncodedImage> images) const {
  return compose(encode(render(model_.turn_format, messages), images.size()), images);
}

}  // namespace mmbatch
