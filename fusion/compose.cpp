#include "fusion/compose.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"

namespace mmbatch {

void check_placeholders(const ModelSpec& spec, std::span<const std::int32_t> text_ids, std::size_t images) {
  if (text_ids.empty()) throw ItemError(ErrorCode::prompt_empty, "the prompt has no text");
  const auto found =
      static_cast<std::size_t>(std::count(text_ids.begin(), text_ids.end(), spec.image_token_id));
  const std::size_t placeholders = spec.image_token_id < 0 ? 0 : found;
  if (placeholders == images) return;
  throw ItemError(ErrorCode::invalid_value,
                  fmt::format("the prompt has {} image placeholders ({}) for {} images", placeholders,
                              spec.image_token, images));
}

std::shared_ptr<const Prompt> compose(const ModelSpec& spec, std::span<const std::int32_t> text_ids,
                                      std::span<const EncodedImage> images) {
  check_placeholders(spec, text_ids, images.size());
  auto prompt = std::make_shared<Prompt>();
  auto next = images.begin();
  for (const std::int32_t id : text_ids) {
    if (next == images.end() || id != spec.image_token_id) {
      prompt->ids.push_back(id);
      continue;
    }
    prompt->features.push_back({prompt->ids.size(), next->features, next->key});
    prompt->ids.insert(prompt->ids.end(), next->features->rows(), id);
    ++next;
  }
  if (spec.prefix_lm) prompt->bidirectional = {{0, prompt->tokens()}};
  return prompt;
}

}  // namespace mmbatch
