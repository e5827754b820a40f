#include "fusion/prompting.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"
#include "fusion/video/video_text.h"

namespace mmbatch {

namespace {

/// The messages with a video in place of the images of the first one that has some: as a part of its content,
/// or written into its text.
std::vector<Turn> with_video(std::vector<Turn> turns, const std::string* written) {
  const auto shown =
      std::find_if(turns.begin(), turns.end(), [](const Turn& turn) { return turn.images > 0; });
  if (shown == turns.end()) return turns;
  const std::size_t frames = std::exchange(shown->images, 0);
  if (written == nullptr && !shown->parts.empty()) {
    shown->parts = video_in_parts(shown->parts, frames);
    return turns;
  }
  shown->parts.clear();
  if (written != nullptr)
    shown->content = *written + shown->content;
  else
    shown->parts = video_parts(shown->content);
  return turns;
}

/// The placeholders of a prompt's text, in their order.
std::vector<std::int32_t> placeholders_of(const ModelSpec& spec, std::span<const std::int32_t> ids) {
  std::vector<std::int32_t> found;
  for (const std::int32_t id : ids) {
    if (spec.is_placeholder(id)) found.push_back(id);
  }
  return found;
}

}  // namespace

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
  RenderedPrompt prompt;
  if (settings.video && model_.spec.video) {
    const VideoInput& video = *model_.spec.video;
    prompt.video = settings.video;
    // Of a template that knows no videos, nothing but the text is certain to be written.
    if (format.is_template()) prompt.text = format.render(with_video(turns, nullptr), options);
    if (prompt.text.find(video.token) == std::string::npos)
      prompt.text = format.render(with_video(turns, &video.written), options);
  } else {
    prompt.text = format.render(turns, options);
  }
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
  if (prompt.video && spec.video) {
    return encode(RenderedPrompt{write_video(*spec.video, *prompt.video, prompt.text), prompt.special},
                  images);
  }
  for (const UnsupportedInput& input : spec.unsupported) {
    if (prompt.text.find(input.token) == std::string::npos) continue;
    throw ItemError(ErrorCode::invalid_value,
                    fmt::format("the prompt has '{}', which stands for {}; this program gives the model text "
                                "and images only",
                                input.token, input.what));
  }
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
  const std::vector<std::int32_t> placeholders = placeholders_of(model_.spec, ids);
  std::size_t count = ids.size() - pictures.size();
  for (std::size_t i = 0; i < pictures.size(); ++i)
    count += image_ids(layout(pictures[i], budget), placeholders[i]).size();
  return count;
}

FeatureMap Prompting::layout(const PictureSize& picture, const ImageBudget& budget) const {
  if (picture.frames == 0) return model_.images->layout(picture.width, picture.height, budget);
  return model_.videos().layout({picture.width, picture.height, picture.frames}, budget);
}

std::shared_ptr<const Prompt> Prompting::compose(std::span<const std::int32_t> ids,
                                                 std::span<const EncodedImage> images) const {
  const std::vector<std::int32_t> placeholders = placeholders_of(model_.spec, ids);
  std::vector<ImageIds> tokens;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const std::int32_t id = i < placeholders.size() ? placeholders[i] : model_.spec.image_token_id;
    tokens.push_back(image_ids(images[i].features->map, id));
  }
  return mmbatch::compose(model_.spec, ids, images, tokens);
}

ImageIds Prompting::image_ids(const FeatureMap& map, std::int32_t placeholder) const {
  const ModelSpec& spec = model_.spec;
  return mmbatch::image_ids(spec.place, {spec.image_token, placeholder}, map, *model_.tokenizer);
}

std::shared_ptr<const Prompt> Prompting::operator()(std::span<const Message> messages,
                                                    std::span<const EncodedImage> images) const {
  return compose(encode(render(model_.turn_format, messages), images.size()), images);
}

}  // namespace mmbatch
