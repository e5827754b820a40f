// Input that nobody would write, from fixed seeds: whatever it is, there is a result or a clean error.

#include <gtest/gtest.h>

#include <random>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"
#include "tests/text/reference_data.h"
#include "text/template/turn_format.h"
#include "text/tokenizer/stream_decoder.h"
#include "text/tokenizer/tokenizer.h"

namespace mmbatch {
namespace {

using testing::load_reference;
using testing::read_file;
using testing::TemporaryFolder;
using testing::write_file;

const char* const kFolders[] = {"llava-gqa", "llava-mqa-full", "paligemma", "siglip"};

std::string random_bytes(std::mt19937& random, std::size_t most) {
  static const std::vector<std::string> words = {"<image>", "<im", "</s>", "▁",   " ",
                                                 "\n",      "é",   "図",   "<s>", "the"};
  std::string text;
  for (std::uint32_t n = random() % static_cast<std::uint32_t>(most); n > 0; --n) {
    const std::uint32_t kind = random() % 3;
    if (kind == 0) text += static_cast<char>(random() % 256);
    if (kind == 1) text += words[random() % words.size()];
    if (kind == 2) text += static_cast<char>('a' + random() % 26);
  }
  return text;
}

/// A few bytes changed, dropped, doubled or put in.
std::string mutate(std::string text, std::mt19937& random) {
  for (std::uint32_t n = 1 + random() % 4; n > 0 && !text.empty(); --n) {
    const std::size_t at = random() % text.size();
    const std::size_t length = 1 + random() % 20;
    switch (random() % 5) {
      case 0:
        text[at] = static_cast<char>(random() % 256);
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(at, text.substr(at, length));
        break;
      case 3:
        text.insert(at, 1, static_cast<char>(random() % 256));
        break;
      default:
        text.resize(random() % 8 == 0 ? at : text.size());
    }
  }
  return text;
}

void use(const Tokenizer& tokenizer) {
  for (const char* text : {"a<image> b</s>", "Größe 図\n\n", " ", "<unk>"}) {
    const auto ids = tokenizer.encode(text);
    EXPECT_TRUE(is_utf8(tokenizer.decode(ids, SpecialTokens::with)));
  }
}

TEST(TokenizerFuzz, AnyBytesAreText) {
  std::mt19937 random(1);
  for (const char* folder : kFolders) {
    const auto tokenizer = load_reference(folder);
    for (int round = 0; round < 1000; ++round) {
      const std::string text = random_bytes(random, 60);
      const auto ids = tokenizer->encode(text);
      for (const std::int32_t id : ids) {
        ASSERT_GE(id, 0);
        ASSERT_LT(id, tokenizer->vocab_size());
      }
      ASSERT_TRUE(is_utf8(tokenizer->decode(ids)));
      tokenizer->encode_continuation(text);
    }
  }
}

TEST(TokenizerFuzz, AnyNumbersAreIds) {
  std::mt19937 random(2);
  for (const char* folder : kFolders) {
    const auto tokenizer = load_reference(folder);
    StreamDecoder decoder(tokenizer);
    for (int round = 0; round < 1000; ++round) {
      std::vector<std::int32_t> ids(random() % 20);
      for (auto& id : ids) {
        id = random() % 8 == 0 ? static_cast<std::int32_t>(random())
                               : static_cast<std::int32_t>(random() % 520) - 5;
      }
      ASSERT_TRUE(is_utf8(tokenizer->decode(ids, SpecialTokens::with)));
      std::string streamed;
      for (const std::int32_t id : ids) streamed += decoder.push(id);
      ASSERT_EQ(streamed + decoder.finish(), tokenizer->decode(ids));
    }
  }
}

void load_mutated(const char* file, int rounds, std::uint32_t seed) {
  std::mt19937 random(seed);
  for (const char* source : kFolders) {
    const TemporaryFolder folder;
    folder.copy_tokenizer(source);
    if (!std::filesystem::exists(folder.path() / file)) continue;
    const std::string original = read_file(folder.path() / file);
    int loaded = 0;
    for (int round = 0; round < rounds; ++round) {
      write_file(folder.path() / file, mutate(original, random));
      try {
        const auto tokenizer = load_tokenizer(folder.path());
        use(*tokenizer);
        read_checkpoint_templates(FolderFiles(folder.path()));
        read_template_tokens(FolderFiles(folder.path()), *tokenizer);
        ++loaded;
      } catch (const ModelError& e) {
        EXPECT_NE(std::string(e.what()).find(folder.path().string()), std::string::npos) << e.what();
      } catch (const ItemError&) {
      }
    }
    EXPECT_LT(loaded, rounds) << source;
  }
}

TEST(TokenizerFuzz, ChangedConfigs) {
  load_mutated("tokenizer_config.json", 300, 3);
}
TEST(TokenizerFuzz, ChangedAddedTokens) {
  std::mt19937 random(4);
  const TemporaryFolder folder;
  folder.copy_tokenizer("llava-gqa");
  std::filesystem::remove(folder.path() / "tokenizer_config.json");
  const std::string original = read_file(folder.path() / "added_tokens.json");
  for (int round = 0; round < 300; ++round) {
    write_file(folder.path() / "added_tokens.json", mutate(original, random));
    try {
      use(*load_tokenizer(folder.path()));
    } catch (const ModelError& e) {
      EXPECT_NE(std::string(e.what()).find("added_tokens.json"), std::string::npos) << e.what();
    }
  }
}
TEST(TokenizerFuzz, ChangedBytePairVocabularies) {
  load_mutated("tokenizer.model", 500, 5);
}
// Most bytes of this file are the normalization map, which the library follows unchecked.
TEST(TokenizerFuzz, ChangedUnigramVocabularies) {
  load_mutated("spiece.model", 150, 6);
}

TEST(TokenizerFuzz, AnyTextIsAPattern) {
  std::mt19937 random(8);
  const std::vector<std::string> words = {"{",       "}",  "{{",       "}}", "{question}",
                                          "{image}", "\n", "{system}", "x",  "{eos}"};
  const std::vector<Turn> turns = {{Role::system, "s"}, {Role::user, "q", 2}};
  for (int round = 0; round < 3000; ++round) {
    std::string pattern;
    for (std::uint32_t n = random() % 8; n > 0; --n) pattern += words[random() % words.size()];
    try {
      TurnFormat::from_pattern(pattern).render(turns, {});
    } catch (const UsageError&) {
    } catch (const ItemError&) {
    }
  }
}

}  // namespace
}  // namespace mmbatch
