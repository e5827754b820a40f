#include "engine/decoder/prompt_length.h"

#include <fmt/format.h>

#include <string_view>

#include "engine/base/text/counted.h"

namespace mmbatch {
namespace {

/// What helps against a prompt that is too long, and has images.
std::string advice(const PromptLength& prompt, std::size_t longest) {
  const std::size_t text = prompt.tokens - prompt.image_tokens;
  if (text > longest) return fmt::format("; its text alone has {}: make that shorter", text);
  const std::string_view fewer = prompt.images > 1 ? "fewer images, " : "";
  return fmt::format(
      "; give it {}a shorter text, or, where the model takes images of any size, smaller ones (image_tokens)",
      fewer);
}

}  // namespace

std::optional<Error> length_fault(const PromptLength& prompt, TruncatePrompt truncate, std::size_t longest) {
  const bool wants_cut = truncate == TruncatePrompt::left;
  if (prompt.tokens <= longest || (wants_cut && prompt.images == 0)) return {};
  std::string of_images;
  if (prompt.image_tokens > 0) of_images = fmt::format(", {} of them of its images", prompt.image_tokens);
  return Error{ErrorCode::prompt_too_long,
               fmt::format("the prompt has {}{}, the model takes at most {}{}{}",
                           counted(prompt.tokens, "token"), of_images, longest,
                           wants_cut ? "; truncate_prompt: left does not cut a prompt with images" : "",
                           of_images.empty() ? "" : advice(prompt, longest))};
}

}  // namespace mmbatch
