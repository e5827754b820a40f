#include "jobs/item/settings.h"

#include <gtest/gtest.h>

namespace mmbatch {
namespace {

std::optional<int> length_after(const GenerationOverrides& checkpoint,
                                std::initializer_list<GenerationOverrides> stronger) {
  LayeredSettings settings(checkpoint);
  for (const GenerationOverrides& source : stronger) settings.add(source);
  return settings.config().max_length;
}

TEST(LayeredSettings, MaxNewTokensTakesPrecedenceOverTheCheckpointsMaxLengthOnly) {
  const GenerationOverrides length{{"max_length", std::int64_t{20}}};
  const GenerationOverrides tokens{{"max_new_tokens", std::int64_t{12}}};
  EXPECT_EQ(length_after(length, {}), 20);
  EXPECT_EQ(length_after(length, {{{"seed", std::int64_t{1}}}}), 20);
  EXPECT_EQ(length_after(length, {tokens}), std::nullopt);
  EXPECT_EQ(length_after(length, {{}, {}, tokens}), std::nullopt);
  EXPECT_EQ(length_after({}, {length, tokens}), 20);      // the user's own: the tighter of the two holds
  EXPECT_EQ(length_after(length, {length, tokens}), 20);  // the same said again by the user
  EXPECT_EQ(length_after(length, {tokens, length}), 20);
}

}  // namespace
}  // namespace mmbatch
