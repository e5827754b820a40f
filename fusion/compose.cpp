#include "fusion/compose.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

void place(Prompt& prompt, const ModelSpec& spec, const EncodedImage& image) {
  prompt.features.push_back({prompt.ids.size(), image.features, image.key});
  prompt.ids.insert(prompt.ids.end(), image.features->rows(), spec.image_token_id);
}

}  // namespace

std::shared_ptr<const Prompt> compose(const ModelSpec& spec, std::span<const std::int32_t> text_ids,
                                      std::span<const EncodedImage> images) {
  if (text_ids.empty()) throw ItemError(ErrorCode::prompt_empty, "the prompt has no text");
  auto prompt = std::make_shared<Prompt>();
  if (spec.placement == ImagePlacement::before_text) {
    for (const EncodedImage& image : images) place(*prompt, spec, image);
    prompt->ids.insert(prompt->ids.end(), text_ids.begin(), text_ids.end());
  } else {
    const auto found =
        static_cast<std::size_t>(std::count(text_ids.begin(), text_ids.end(), spec.image_token_id));
    const std::size_t placeholders = spec.image_token_id < 0 ? 0 : found;
    if (placeholders != images.size()) {
      throw ItemError(ErrorCode::invalid_value,
                      fmt::format("the prompt has {} image placeholders ({}) for {} images", placeholders,
                                  spec.image_token, images.size()));
    }
    std::size_t next = 0;
    for (const std::int32_t id : text_ids) {
      if (placeholders > 0 && id == spec.image_token_id)
        place(*prompt, spec, images[next++]);
      else
        prompt->ids.push_back(id);
    }
  }
  if (spec.prefix_lm) prompt->bidirectional = {{0, prompt->tokens()}};
  return prompt;
}

}  // namespace mmbatch
