// Vocabularies in GGUF files, where they say less than a published tokenizer does.

#include <gtest/gtest.h>

#include <map>

#include "fusion/source/open_model.h"
#include "tests/engine/gguf_bytes.h"
#include "tests/engine/temporary_folder.h"
#include "text/tokenizer/tokenizer.h"

namespace mmbatch {
namespace {

using testing::GgufBytes;
using testing::TemporaryFolder;
using Ids = std::vector<std::int32_t>;

constexpr std::int32_t kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6;

struct Vocabulary {
  std::string model, pre;
  std::vector<std::pair<std::string, std::int32_t>> tokens;
  std::vector<std::string> merges = {};
};

std::shared_ptr<const Tokenizer> load(const Vocabulary& vocabulary) {
  GgufBytes file;
  const std::string name = "llama";
  file.key("general.architecture", name);
  for (const char* key : {"block_count", "attention.head_count", "context_length"})
    file.key(name + "." + key, 2u);
  file.key(name + ".embedding_length", 8u);
  std::vector<std::string> tokens;
  std::string types =
      GgufBytes::number(std::uint32_t{5}) + GgufBytes::number(std::uint64_t{vocabulary.tokens.size()});
  for (const auto& [token, type] : vocabulary.tokens) {
    tokens.push_back(token);
    types += GgufBytes::number(type);
  }
  file.key("tokenizer.ggml.model", vocabulary.model).key("tokenizer.ggml.pre", vocabulary.pre);
  file.texts("tokenizer.ggml.tokens", tokens).key("tokenizer.ggml.token_type", 9, types);
  file.texts("tokenizer.ggml.merges", vocabulary.merges);
  const TemporaryFolder folder;
  testing::write_file(folder.path() / "m.gguf", file.bytes());
  return load_tokenizer(*open_model(folder.path() / "m.gguf"));
}

Ids ids_of(const Tokenizer& tokenizer, const std::string& text) {
  const auto ids = tokenizer.encode(text);
  return {ids.begin(), ids.end()};
}

/// A file has no normalizer, and transformers, which reads such files too, adds none.
TEST(GgufVocabulary, TextsAreReadAsTheyAre) {
  // "é" in bytes is C3 A9, which are spelled Ã and ©; e and U+0301 are e, CC (Ì) and 81 (ģ).
  Vocabulary vocabulary{
      "gpt2", "qwen2", {{"e", kNormal}, {"Ã", kNormal}, {"©", kNormal}, {"Ì", kNormal}, {"ģ", kNormal}}};
  EXPECT_EQ(ids_of(*load(vocabulary), "e\u0301"), (Ids{0, 3, 4}));
  vocabulary.pre = "llama-bpe";
  EXPECT_EQ(ids_of(*load(vocabulary), "e\u0301"), (Ids{0, 3, 4}));
}

TEST(GgufVocabulary, TokensThatConvertersTakeForControlOnesAreShown) {
  const auto qwen =
      load({"gpt2", "qwen2", {{"a", kNormal}, {"<|fim_middle|>", kControl}, {"<|im_end|>", kControl}}});
  EXPECT_EQ(qwen->decode(Ids{0, 1, 2, 0}), "a<|fim_middle|>a");
}

TEST(GgufVocabulary, RowsWithoutATokenAreNoTokens) {
  const auto tokenizer =
      load({"gpt2", "qwen2", {{"a", kNormal}, {"b", kNormal}, {"[PAD2]", kUnused}, {"[PAD3]", kUnused}}});
  EXPECT_EQ(tokenizer->vocab_size(), 2);
}

TEST(GgufVocabulary, Gemma4MergesOverSpacesAndBytes) {
  const auto tokenizer = load({"gemma4",
                               "",
                               {{"<bos>", kControl},
                                {"▁", kNormal},
                                {"a", kNormal},
                                {"▁a", kNormal},
                                {"<h1>", kNormal},
                                {"<0xC3>", kByte},
                                {"<0xA9>", kByte},
                                {"<|channel>", kUserDefined},
                                {"<", kNormal}},
                               {"▁ a"}});
  EXPECT_EQ(ids_of(*tokenizer, "a a\u00e9"), (Ids{2, 3, 5, 6}));
  // No merge makes it: it was an added token, found before all others.
  EXPECT_EQ(ids_of(*tokenizer, "<h1> a<"), (Ids{4, 3, 8}));
  EXPECT_EQ(tokenizer->decode(Ids{3, 7, 5, 6}), " a\u00e9");
}

}  // namespace
}  // namespace mmbatch
