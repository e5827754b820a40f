#include "text/reasoning/reasoning_format.h"

#include <gmock/gmock.h>

#include "engine/base/error.h"
#include "tests/text/reference_data.h"

namespace mmbatch {
namespace {

using Ids = std::vector<std::int32_t>;
using testing::TemporaryFolder;
using testing::write_file;

/// A tokenizer of single letters and these added tokens, from id 26 on.
std::shared_ptr<const Tokenizer> tokenizer_with(const TemporaryFolder& folder,
                                                const std::vector<std::string>& added) {
  nlohmann::json vocab = nlohmann::json::object(), tokens = nlohmann::json::array();
  for (int i = 0; i < 26; ++i) vocab[std::string(1, static_cast<char>('a' + i))] = i;
  vocab["\n"] = 26;
  for (std::size_t i = 0; i < added.size(); ++i)
    tokens.push_back({{"id", 27 + i}, {"content", added[i]}, {"special", i % 2 == 0}, {"normalized", false}});
  write_file(
      folder.path() / "tokenizer.json",
      nlohmann::json{{"added_tokens", tokens},
                     {"decoder", {{"type", "Fuse"}}},
                     {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", nlohmann::json::array()}}}}
          .dump());
  return load_tokenizer(folder.path());
}

TEST(ReasoningFormat, IsFoundByTheVocabularysTokens) {
  const TemporaryFolder folder;
  EXPECT_FALSE(find_reasoning(*tokenizer_with(folder, {"<think>"})));
  const auto think = find_reasoning(*tokenizer_with(folder, {"<think>", "</think>"}));
  ASSERT_TRUE(think);
  EXPECT_EQ(think->open, Ids{27});
  EXPECT_EQ(think->close, Ids{28});
  const auto channels =
      find_reasoning(*tokenizer_with(folder, {"<|start|>", "<|end|>", "<|channel|>", "<|message|>"}));
  ASSERT_TRUE(channels);
  EXPECT_EQ(channels->open, Ids{29});
  EXPECT_EQ(channels->close, (Ids{29, 5, 8, 13, 0, 11, 30}));  // f i n a l
  EXPECT_EQ(channels->written.front(), 28);
}

TEST(ReasoningFormat, ThePromptMayEndInside) {
  const TemporaryFolder folder;
  const auto tokenizer = tokenizer_with(folder, {"<think>", "</think>"});
  const ReasoningFormat format = *find_reasoning(*tokenizer);
  const auto inside = [&](const char* prompt) {
    return ends_inside(*tokenizer, format, tokenizer->encode(prompt, SpecialTokens::without));
  };
  EXPECT_TRUE(inside("a<think>"));
  EXPECT_TRUE(inside("a<think>\n"));
  EXPECT_FALSE(inside("a<think>b"));
  EXPECT_FALSE(inside("a<think>\n\n</think>\n\n"));
  EXPECT_FALSE(inside(""));
}

TEST(ReasoningFormat, TextsAreWithoutHeadsLabelsAndSpaceAround) {
  const TemporaryFolder folder;
  const auto text = [&](const std::vector<std::string>& marks, const char* thoughts) {
    const auto tokenizer = tokenizer_with(folder, marks);
    return reasoning_text(*tokenizer, *find_reasoning(*tokenizer),
                          tokenizer->encode(thoughts, SpecialTokens::without));
  };
  EXPECT_EQ(text({"<think>", "</think>"}, "\nab\nc\n"), "ab\nc");
  EXPECT_EQ(text({"<|channel>", "<channel|>"}, "thought\nab\n"), "ab");
  EXPECT_EQ(text({"<|start|>", "<|end|>", "<|channel|>", "<|message|>"},
                 "analysis<|message|>ab<|end|><|start|>assistant<|channel|>commentary<|message|>c<|end|>"),
            "ab\nc");
}

TEST(ReasoningFormat, MarksOfAManifestAreTokens) {
  const TemporaryFolder folder;
  const auto tokenizer = tokenizer_with(folder, {"<think>", "</think>"});
  const ReasoningFormat format = reasoning_between(*tokenizer, "<think>", "ab");
  EXPECT_EQ(format.open, Ids{27});
  EXPECT_EQ(format.written, (Ids{0, 1}));
  EXPECT_THROW(reasoning_between(*tokenizer, "<think>", "9"), ItemError);
}

}  // namespace
}  // namespace mmbatch
