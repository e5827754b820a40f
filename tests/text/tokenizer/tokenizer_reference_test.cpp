#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "engine/base/error.h"
#include "tests/text/reference_data.h"
#include "text/encoder/canonical.h"
#include "text/tokenizer/sentencepiece/sentencepiece_model.h"
#include "text/tokenizer/tokenizer.h"

namespace mmbatch {
namespace {

using testing::expected;
using testing::kTokenizerFolders;
using testing::load_reference;
using Ids = std::vector<std::int32_t>;

/// `ids` with every run of `id` as one.
Ids collapse(const Ids& ids, std::int32_t id) {
  Ids out;
  for (const std::int32_t value : ids) {
    if (value != id || out.empty() || out.back() != id) out.push_back(value);
  }
  return out;
}

class Reference : public ::testing::TestWithParam<std::string> {};

TEST_P(Reference, TokenizerCases) {
  const auto tokenizer = load_reference(GetParam());
  const auto cases = expected(GetParam()).at("tokenizer");
  ASSERT_EQ(cases.size(), 21u);
  for (const auto& example : cases) {
    const std::string text = example.at("text");
    const Ids ids = example.at("ids");
    EXPECT_EQ(tokenizer->encode(text), ids) << text;
    EXPECT_EQ(tokenizer->decode(ids), example.at("decoded").get<std::string>()) << text;
  }
}

TEST_P(Reference, PromptsGiveInputIds) {
  const auto tokenizer = load_reference(GetParam());
  const auto image = tokenizer->token_id("<image>");
  auto all = expected(GetParam());
  auto cases = all.at("cases");
  for (const auto& more : all.value("text_cases", nlohmann::json::array())) cases.push_back(more);
  ASSERT_FALSE(cases.empty());
  for (const auto& example : cases) {
    const std::string prompt = example.at("prompt");
    const Ids ids = example.at("input_ids");
    Ids actual = tokenizer->encode(prompt);
    if (GetParam() == "paligemma") {
      // Its processor puts the images before BOS and a newline behind the text.
      actual = {*image, *tokenizer->bos()};
      const Ids text = tokenizer->encode(prompt + "\n", SpecialTokens::without);
      actual.insert(actual.end(), text.begin(), text.end());
    }
    EXPECT_EQ(actual, image ? collapse(ids, *image) : ids) << prompt;
  }
}

TEST_P(Reference, GreedyText) {
  const auto tokenizer = load_reference(GetParam());
  const auto cases = expected(GetParam()).at("cases");
  for (const auto& example : cases) {
    if (!example.contains("greedy_text")) continue;
    EXPECT_EQ(tokenizer->decode(example.at("greedy").get<Ids>()),
              example.at("greedy_text").get<std::string>());
  }
}

INSTANTIATE_TEST_SUITE_P(Folders, Reference, ::testing::ValuesIn(kTokenizerFolders), [](const auto& info) {
  std::string name = info.param;
  std::erase(name, '-');
  return name;
});

TEST(TokenizerReference, TwoImages) {
  for (const char* folder : {"llava-gqa", "llava-mqa-full"}) {
    const auto tokenizer = load_reference(folder);
    const auto example = expected(folder).at("two_images");
    const Ids ids = example.at("input_ids");
    EXPECT_EQ(tokenizer->encode(example.at("prompt").get<std::string>()), collapse(ids, 480)) << folder;
  }
}

TEST(TokenizerReference, DualEncoderLabels) {
  const auto tokenizer = load_reference("siglip");
  const auto all = expected("siglip");
  EXPECT_FALSE(tokenizer->bos());
  EXPECT_EQ(tokenizer->eos(), 1);
  EXPECT_EQ(tokenizer->pad(), 1);
  for (std::size_t i = 0; i < all.at("labels").size(); ++i) {
    const std::string label = all.at("labels")[i];
    const Ids ids =
        pad_or_cut(tokenizer->encode(canonicalize(label)), {.length = 64, .pad_id = *tokenizer->pad()});
    EXPECT_EQ(ids, all.at("label_ids")[i].get<Ids>()) << label;
  }
}

// The 46 cases with which another project tests a published vocabulary of 32,000 pieces. It may not be copied
// here, so it is used where it lies.
TEST(TokenizerReference, PublishedVocabulary) {
  const char* variable = std::getenv("MMBATCH_SHARED");
  const std::filesystem::path shared = variable != nullptr
                                           ? std::filesystem::path(variable)
                                           : std::filesystem::path(MMBATCH_TEST_DATA) / "../../../shared";
  const auto folder = shared / "reference" / "tokenizer-llama2";
  if (!std::filesystem::exists(folder / "tokenizer.model")) {
    GTEST_SKIP() << "no " << folder << ": set MMBATCH_SHARED to the folder that holds reference/";
  }
  const std::string file = testing::read_file(folder / "tokenizer.model");
  const SentencePieceModel model(file, "tokenizer.model", DummyPrefix::as_stored);
  const auto tokenizer = load_tokenizer(folder);
  EXPECT_EQ(tokenizer->vocab_size(), 32000);
  const std::string input = testing::read_file(folder / "cases.inp");
  std::istringstream output(testing::read_file(folder / "cases.out"));
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::size_t count = 0;
  for (std::size_t begin = 0, end; (end = input.find(separator, begin)) != std::string::npos;) {
    const std::string text = input.substr(begin, end - begin);
    begin = end + separator.size();
    std::string line;
    ASSERT_TRUE(std::getline(output, line)) << count;
    std::istringstream numbers(line);
    const Ids wanted{std::istream_iterator<std::int32_t>(numbers), {}};
    Ids ids;
    model.encode(text, ids);
    EXPECT_EQ(ids, wanted) << text;
    EXPECT_EQ(tokenizer->encode(text, SpecialTokens::without), wanted) << text;
    ++count;
  }
  EXPECT_EQ(count, 46u);
}

}  // namespace
}  // namespace mmbatch
