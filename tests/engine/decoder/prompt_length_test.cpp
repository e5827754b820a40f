#include "engine/decoder/prompt_length.h"

#include <gtest/gtest.h>

namespace mmbatch {
namespace {

TEST(PromptLength, SaysWhatImagesHaveOfIt) {
  const auto fault = [](const PromptLength& prompt, TruncatePrompt truncate) {
    const auto found = length_fault(prompt, truncate, 100);
    return found ? found->message : "";
  };
  EXPECT_EQ(fault({100, 1, 90}, TruncatePrompt::error), "");
  EXPECT_EQ(fault({120}, TruncatePrompt::left), "");
  EXPECT_EQ(fault({120}, TruncatePrompt::error), "the prompt has 120 tokens, the model takes at most 100");
  EXPECT_EQ(
      fault({120, 2, 96}, TruncatePrompt::error),
      "the prompt has 120 tokens, 96 of them of its images, the model takes at most 100; give it fewer "
      "images, a shorter text, or, where the model takes images of any size, smaller ones (image_tokens)");
  // Other images do not help here.
  EXPECT_EQ(
      fault({240, 1, 64}, TruncatePrompt::error),
      "the prompt has 240 tokens, 64 of them of its images, the model takes at most 100; its text alone "
      "has 176: make that shorter");
}

}  // namespace
}  // namespace mmbatch
