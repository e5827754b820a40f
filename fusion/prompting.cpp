#include "fusion/prompting.h"

#include <algorithm>

#include "engine/base/text/utf8.h"

namespace mmbatch {

RenderedPrompt Prompting::render(const TurnFormat& format, std::span<const Message> messages,
                                 const TemplateSettings& settings) const {
  const RenderOptions options{.image_mark = model_.spec.mark(),
                              .special_tokens = model_.template_tokens,
                              .variables = settings.variables,
                              .tools = settings.tools,
                              .now = settings.now};
  std::vector<Turn> turns(messages.begin(), messages.end());
  if (model_.spec.placement != ImagePlacement::placeholders) {
    for (Turn& turn : turns) turn.images = 0;
  }
  RenderedPrompt prompt{format.render(turns, options)};
  if (!format.is_template()) return prompt;
  // As transformers: its tokenizers leave special tokens to the template; its processors do so when the text
  // begins with BOS.
  const Tokenizer& tokenizer = *model_.tokenizer;
  const auto bos = tokenizer.bos();
  const bool written = bos && prompt.text.starts_with(tokenizer.piece(*bos));
  if (!model_.spec.vision || written) prompt.special = SpecialTokens::without;
  return prompt;
}

std::vector<std::int32_t> Prompting::encode(const RenderedPrompt& prompt, std::size_t images) const {
  const Tokenizer& tokenizer = *model_.tokenizer;
  const ModelSpec& spec = model_.spec;
  if (spec.placement == ImagePlacement::beside_text) return tokenizer.encode(prompt.text, prompt.special);
  if (spec.placement == ImagePlacement::before_whole_text) return encode_behind_images(prompt.text, images);
  if (spec.placement == ImagePlacement::placeholders)
    return tokenizer.encode(
        images > 0 ? write_image_places(spec.place, spec.image_token, prompt.text) : prompt.text,
        prompt.special);
  // BOS stands between images and text, whatever the tokenizer's files say of it.
  const auto bos = tokenizer.bos();
  std::vector<std::int32_t> ids =
      tokenizer.encode(prompt.text, bos ? SpecialTokens::without : SpecialTokens::with);
  const std::int32_t placeholder = model_.spec.image_token_id;
  auto text_begin = std::find(ids.rbegin(), ids.rend(), placeholder).base();
  if (text_begin == ids.begin()) {
    ids.insert(ids.begin(), images, placeholder);
    text_begin = ids.begin() + static_cast<std::ptrdiff_t>(images);
  }
  const bool written =
      prompt.special == SpecialTokens::without && text_begin != ids.end() && bos == *text_begin;
  if (bos && !written) ids.insert(text_begin, *bos);
  return ids;
}

std::vector<std::int32_t> Prompting::encode_behind_images(const std::string& text, std::size_t images) const {
  const Tokenizer& tokenizer = *model_.tokenizer;
  std::vector<std::int32_t> ids(images, model_.spec.image_token_id);
  const auto add = [&](std::span<const std::int32_t> more) {
    ids.insert(ids.end(), more.begin(), more.end());
  };
  if (const auto bos = tokenizer.bos()) ids.push_back(*bos);
  add(tokenizer.encode(write_out_task(model_.spec.tasks, text), SpecialTokens::without));
  if (const auto eos = tokenizer.eos()) ids.push_back(*eos);
  return ids;
}

std::vector<std::int32_t> Prompting::encode_following(std::string_view text) const {
  return model_.tokenizer->encode_continuation(text);
}

std::size_t Prompting::tokens(std::span<const std::int32_t> ids, std::span<const PictureSize> pictures,
                              const ImageBudget& budget) const {
  check_placeholders(model_.spec, ids, pictures.size());
  if (model_.spec.placement == ImagePlacement::beside_text) return ids.size();
  std::size_t count = ids.size() - pictures.size();
  for (const PictureSize& picture : pictures)
    count += image_ids(model_.images->layout(picture.width, picture.height, budget)).size();
  return count;
}

std::shared_ptr<const Prompt> Prompting::compose(std::span<const std::int32_t> ids,
                                                 std::span<const EncodedImage> images) const {
  std::vector<ImageIds> tokens;
  for (const EncodedImage& image : images) tokens.push_back(image_ids(image.features->map));
  return mmbatch::compose(model_.spec, ids, images, tokens);
}

ImageIds Prompting::image_ids(const FeatureMap& map) const {
  const ModelSpec& spec = model_.spec;
  return mmbatch::image_ids(spec.place, {spec.image_token, spec.image_token_id}, map, *model_.tokenizer);
}

std::shared_ptr<const Prompt> Prompting::operator()(std::span<const Message> messages,
                                                    std::span<const EncodedImage> images) const {
  return compose(encode(render(model_.turn_format, messages), images.size()), images);
}

}  // namespace mmbatch
