#include "fusion/compose.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "engine/base/error.h"
#include "engine/base/text/counted.h"
#include "fusion/positions/image_positions.h"

namespace mmbatch {
namespace {

/// Where an image or a group of frames stands in time.
GridPlace place_of(const EncodedImage& image, const ModelSpec& spec) {
  GridPlace place{.grid = image.features->map.grid};
  const FramePlace& frames = image.frames;
  if (!spec.video || frames.groups == 0 || spec.video->positions == VideoPositions::as_images) return place;
  place.time = frames.group;
  if (spec.video->positions == VideoPositions::by_time) {
    // In float32, as transformers does.
    const auto interval =
        static_cast<float>(spec.video->positions_per_second) * static_cast<float>(frames.seconds);
    place.time = static_cast<std::size_t>(static_cast<float>(frames.group) * interval);
  }
  if (frames.group + 1 < frames.groups) place.next = GridPlace::Next::frames;
  return place;
}

/// Appends an image's tokens, and a span for each unbroken run of its rows.
void add_image(const EncodedImage& image, const ImageIds& ids, std::int32_t image_token, Prompt& prompt) {
  std::size_t row = 0;
  for (std::size_t i = 0; i < ids.size();) {
    if (ids[i] != image_token) {
      prompt.ids.push_back(ids[i++]);
      continue;
    }
    const auto end = std::find_if(ids.begin() + static_cast<std::ptrdiff_t>(i), ids.end(),
                                  [&](std::int32_t id) { return id != image_token; });
    const auto count = static_cast<std::size_t>(end - ids.begin()) - i;
    prompt.features.push_back(
        {.begin = prompt.ids.size(), .rows = image.features, .key = image.key, .first = row, .count = count});
    prompt.ids.insert(prompt.ids.end(), count, image_token);
    row += count;
    i += count;
  }
  assert(row == image.features->rows());
}

}  // namespace

void check_placeholders(const ModelSpec& spec, std::span<const std::int32_t> text_ids, std::size_t images) {
  if (text_ids.empty()) throw ItemError(ErrorCode::prompt_empty, "the prompt has no text");
  if (spec.needs_one_image() && images != 1) {
    throw ItemError(ErrorCode::invalid_value,
                    fmt::format("this model takes one image with each text; there are {}", images));
  }
  if (spec.placement == ImagePlacement::beside_text) return;
  const auto placeholders = static_cast<std::size_t>(std::count_if(
      text_ids.begin(), text_ids.end(), [&](std::int32_t id) { return spec.is_placeholder(id); }));
  if (placeholders == images) return;
  throw ItemError(ErrorCode::invalid_value,
                  fmt::format("the prompt has {} ({}) for {}", counted(placeholders, "image placeholder"),
                              spec.mark(), counted(images, "image")));
}

std::shared_ptr<const Prompt> compose(const ModelSpec& spec, std::span<const std::int32_t> text_ids,
                                      std::span<const EncodedImage> images,
                                      std::span<const ImageIds> tokens) {
  check_placeholders(spec, text_ids, images.size());
  auto prompt = std::make_shared<Prompt>();
  std::size_t next = spec.placement == ImagePlacement::beside_text ? images.size() : 0;
  for (const std::int32_t id : text_ids) {
    if (next == images.size() || !spec.is_placeholder(id)) {
      prompt->ids.push_back(id);
      continue;
    }
    const EncodedImage& image = images[next];
    add_image(image, tokens.empty() ? ImageIds(image.features->rows(), id) : tokens[next], id, *prompt);
    ++next;
  }
  if (static_cast<std::size_t>(spec.image_token_id) == spec.vocab())
    std::replace(prompt->ids.begin(), prompt->ids.end(), spec.image_token_id, Prompt::kNoToken);
  if (spec.visibility == PromptVisibility::prompt) prompt->bidirectional = {{0, prompt->tokens()}};
  if (spec.visibility == PromptVisibility::images) {
    for (const FeatureSpan& span : prompt->features)
      prompt->bidirectional.push_back({span.begin, span.begin + span.tokens()});
  }
  if (spec.positions == PromptPositions::image_grids) {
    std::vector<GridPlace> places;
    for (const EncodedImage& image : images) places.push_back(place_of(image, spec));
    set_image_positions(*prompt, places);
  }
  return prompt;
}

}  // namespace mmbatch
