#include <gtest/gtest.h>

#include <random>

#include "engine/base/text/utf8.h"
#include "tests/text/reference_data.h"
#include "text/tokenizer/stream_decoder.h"

namespace mmbatch {
namespace {

using testing::kTokenizerFolders;
using testing::load_reference;
using Ids = std::vector<std::int32_t>;

std::string stream(StreamDecoder& decoder, const Ids& ids) {
  std::string text;
  for (const std::int32_t id : ids) {
    const std::string piece = decoder.push(id);
    EXPECT_TRUE(is_utf8(piece));
    text += piece;
  }
  const std::string rest = decoder.finish();
  EXPECT_TRUE(is_utf8(rest));
  return text + rest;
}

TEST(StreamDecoder, RandomIdsGiveTheSameText) {
  for (std::string folder : {"siglip", "llava-gqa", "llava-mqa-full", "llava-next", "paligemma", "llama",
                             "llama-scaled-rope", "gemma", "gemma2", "mistral-window"}) {
    const auto tokenizer = load_reference(folder);
    StreamDecoder decoder(tokenizer);
    std::mt19937 random(7);
    const std::int32_t size = tokenizer->vocab_size();
    const std::int32_t byte0 = tokenizer->token_id("<0x00>").value_or(0);
    for (int round = 0; round < 2000; ++round) {
      Ids ids;
      for (std::uint32_t n = random() % 12; n > 0; --n) {
        const std::uint32_t kind = random() % 4;
        if (kind == 0) ids.push_back(static_cast<std::int32_t>(random() % 600) - 20);
        if (kind == 1) ids.push_back(static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(size)));
        if (kind == 2) ids.push_back(byte0 + static_cast<std::int32_t>(random() % 256));
        if (kind == 3) ids.push_back(static_cast<std::int32_t>(random() % 6));
      }
      ASSERT_EQ(stream(decoder, ids), tokenizer->decode(ids)) << folder << ::testing::PrintToString(ids);
    }
  }
}

TEST(StreamDecoder, ReferenceAnswers) {
  for (const std::string& folder : kTokenizerFolders) {
    StreamDecoder decoder(load_reference(folder));
    const auto cases = testing::expected(folder).at("cases");
    for (const auto& example : cases) {
      if (!example.contains("greedy_text")) continue;
      EXPECT_EQ(stream(decoder, example.at("greedy")), example.at("greedy_text").get<std::string>());
    }
  }
}

TEST(StreamDecoder, GivesOutWhatIsCertainAtOnce) {
  const auto tokenizer = load_reference("llava-gqa");
  StreamDecoder decoder(tokenizer);
  const std::int32_t byte0 = *tokenizer->token_id("<0x00>");
  EXPECT_EQ(decoder.push(272), "the");  // the first space goes
  EXPECT_EQ(decoder.push(272), " the");
  EXPECT_EQ(decoder.push(byte0 + 0xE5), "");
  EXPECT_EQ(decoder.push(2), "");
  EXPECT_EQ(decoder.push(byte0 + 0x9B), "");
  EXPECT_EQ(decoder.push(byte0 + 0xB3), "図");
  EXPECT_EQ(decoder.push(byte0 + 0xE5), "");
  EXPECT_EQ(decoder.push(byte0 + 0xE5), "\uFFFD");
  EXPECT_EQ(decoder.push(388), "\uFFFDb");
  EXPECT_EQ(decoder.push(byte0 + 0xF0), "");
  EXPECT_EQ(decoder.finish(), "\uFFFD");
  EXPECT_EQ(decoder.push(272), "the");
}

TEST(StreamDecoder, OutlivesTheTokenizerItWasMadeFrom) {
  auto tokenizer = load_reference("gemma");
  StreamDecoder decoder(tokenizer);
  const Ids ids = tokenizer->encode("Größe 図");
  tokenizer.reset();
  EXPECT_EQ(stream(decoder, ids), "Größe 図");
}

}  // namespace
}  // namespace mmbatch
