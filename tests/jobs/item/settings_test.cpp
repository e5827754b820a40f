#include "jobs/item/settings.h"

#include <gmock/gmock.h>

#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;
using testing::TempFolder;

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

TEST(Settings, MessagesSayWhatTheSettingTakes) {
  TempFolder folder;
  const auto error = [&](const std::string& item) {
    return testing::fault(testing::read_all(read_manifest(
        folder.write("m.yaml", "jobs: [{task: generate, items: [{prompt: x, " + item + "}]}]")))[0]);
  };
  EXPECT_THAT(error("generation: {logit_bias: {1: 2}}"),
              HasSubstr("unknown generation setting 'logit_bias'"));
  EXPECT_THAT(error("generation: {bad_words_ids: [[3]]}"), HasSubstr("unknown generation setting"));
  EXPECT_THAT(error("generation: {top_k: {a: 1}}"), HasSubstr("'top_k' must be an integer"));
  EXPECT_THAT(error("generation: {do_sample: [[3]]}"), HasSubstr("'do_sample' must be true or false"));
  EXPECT_THAT(error("generation: {stop_strings: [true]}"),
              HasSubstr("must be a string or a list of strings"));
  EXPECT_THAT(error("choices: [1, 2]"),
              HasSubstr("key 'choices' must be a text or a list of texts: numbers"));
  EXPECT_THAT(error("choices: [true]"),
              HasSubstr("key 'choices' must be a text or a list of texts: numbers"));
  EXPECT_THAT(error("answer: {}"), HasSubstr("'answer' must be an object with at least one field"));
  EXPECT_THAT(error("answer: [a]"), HasSubstr("'answer' must be a text, a number or an object of fields"));
}

}  // namespace
}  // namespace mmbatch
