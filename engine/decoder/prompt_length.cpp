#include "engine/decoder/prompt_length.h"

#include <fmt/format.h>

#include "engine/base/text/counted.h"

namespace mmbatch {

std::optional<Error> length_fault(const PromptLength& prompt, TruncatePrompt truncate, std::size_t longest) {
  const bool wants_cut = truncate == TruncatePrompt::left;
  if (prompt.tokens <= longest || (wants_cut && prompt.images == 0)) return {};
  std::string of_images;
  if (prompt.image_tokens > 0) of_images = fmt::format(", {} of them of its images", prompt.image_tokens);
  return Error{
      ErrorCode::prompt_too_long,
      fmt::format("the prompt has {}{}, the model takes at most {}{}{}", counted(prompt.tokens, "token"),
                  of_images, longest,
                  wants_cut ? "; truncate_prompt: left does not cut a prompt with images" : "",
                  of_images.empty() ? "" : "; give it fewer images, or smaller ones (image_tokens)")};
}

}  // namespace mmbatch
