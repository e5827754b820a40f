#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/decoder/prompt.h"
#include "fusion/model_spec.h"
#include "vision/tower/feature_cache.h"

namespace mmbatch {

/// One image's rows and the key of its content.
struct EncodedImage {
  Features features;  // [image tokens, hidden]
  std::uint64_t key = 0;
};

/// Puts text and images together as the model expects: each placeholder becomes as many positions as its
/// image has rows, or all images stand before the text.
/// @param text_ids with one placeholder an image, unless images stand before the text
/// @throws ItemError invalid_value when placeholders and images do not match, prompt_empty for no text at all
std::shared_ptr<const Prompt> compose(const ModelSpec& spec, std::span<const std::int32_t> text_ids,
                                      std::span<const EncodedImage> images);

}  // namespace mmbatch
