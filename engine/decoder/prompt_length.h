#pragma once

#include <cstddef>
#include <optional>

#include "engine/base/generation_config.h"
#include "engine/base/result.h"

namespace mmbatch {

/// What a prompt's length is judged by.
struct PromptLength {
  std::size_t tokens = 0;
  std::size_t images = 0;        // a prompt with images is not cut
  std::size_t image_tokens = 0;  // of its tokens, those that are rows of images
};

/// The longest prompt that a model takes: a position is needed for the first answer token's input at least.
constexpr std::size_t longest_prompt(std::size_t max_positions) {
  return max_positions - 1;
}

/// Why a prompt is too long; none: it is not, or truncate_prompt lets it be cut.
std::optional<Error> length_fault(const PromptLength& prompt, TruncatePrompt truncate, std::size_t longest);

}  // namespace mmbatch
