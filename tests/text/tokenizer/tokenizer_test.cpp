#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"
#include "tests/text/reference_data.h"
#include "text/tokenizer/tokenizer.h"

namespace mmbatch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::load_reference;
using testing::read_file;
using testing::TemporaryFolder;
using testing::write_file;
using Ids = std::vector<std::int32_t>;
using Json = nlohmann::ordered_json;

/// The tokenizer of a reference folder with a changed tokenizer_config.json.
std::shared_ptr<const Tokenizer> load_changed(const std::string& folder,
                                              const std::function<void(Json&)>& change) {
  const TemporaryFolder temporary;
  temporary.copy_tokenizer(folder);
  const auto file = temporary.path() / "tokenizer_config.json";
  Json config = Json::parse(read_file(file));
  change(config);
  write_file(file, config.dump());
  return load_tokenizer(temporary.path());
}

std::string load_error(const std::function<void(const std::filesystem::path&)>& prepare) {
  const TemporaryFolder temporary;
  temporary.copy_tokenizer("llava-gqa");
  prepare(temporary.path());
  try {
    load_tokenizer(temporary.path());
  } catch (const ModelError& e) {
    return e.what();
  }
  return "no error";
}

std::string config_error(const std::function<void(Json&)>& change) {
  return load_error([&](const std::filesystem::path& folder) {
    Json config = Json::parse(read_file(folder / "tokenizer_config.json"));
    change(config);
    write_file(folder / "tokenizer_config.json", config.dump());
  });
}

Json added(const char* content) {
  return {{"content", content}, {"special", false}, {"normalized", true}};
}

TEST(Tokenizer, KnowsItsVocabulary) {
  const auto tokenizer = load_reference("llava-gqa");
  EXPECT_EQ(tokenizer->vocab_size(), 482);
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_EQ(tokenizer->eos(), 2);
  EXPECT_EQ(tokenizer->unk(), 0);
  EXPECT_EQ(tokenizer->pad(), 481);
  EXPECT_EQ(tokenizer->token_id("<image>"), 480);
  EXPECT_EQ(tokenizer->token_id("▁the"), 272);
  EXPECT_EQ(tokenizer->token_id("<0x0A>"), 13);
  EXPECT_EQ(tokenizer->token_id("no such piece"), std::nullopt);
  EXPECT_EQ(tokenizer->piece(480), "<image>");
  EXPECT_EQ(tokenizer->piece(272), "▁the");
  EXPECT_EQ(tokenizer->piece(-1), "");
  EXPECT_EQ(tokenizer->piece(482), "");
  for (const std::int32_t id : {0, 1, 2, 480, 481}) EXPECT_TRUE(tokenizer->is_special(id)) << id;
  for (const std::int32_t id : {-1, 3, 272, 482, 1 << 30}) EXPECT_FALSE(tokenizer->is_special(id)) << id;
  EXPECT_EQ(load_reference("llama")->pad(), std::nullopt);
  const auto other = load_reference("paligemma");
  EXPECT_EQ(other->vocab_size(), 509);
  EXPECT_FALSE(other->is_special(501));  // <loc0000> is text that the model writes
  EXPECT_EQ(other->decode(Ids{501, 503, 502, 1}), "<loc0000><loc0002><loc0001>");
}

TEST(Tokenizer, BosOnRequestOnly) {
  const auto tokenizer = load_reference("llava-gqa");
  EXPECT_EQ(tokenizer->encode("Hello"), (Ids{1, 369, 447, 370, 276, 374}));
  EXPECT_EQ(tokenizer->encode("Hello", SpecialTokens::without), (Ids{369, 447, 370, 276, 374}));
  EXPECT_EQ(tokenizer->encode("", SpecialTokens::without), Ids{});
  const auto both = load_changed("llava-gqa", [](Json& config) {
    config["add_bos_token"] = false;
    config["add_eos_token"] = true;
  });
  EXPECT_EQ(both->encode("Hello"), (Ids{369, 447, 370, 276, 374, 2}));
  EXPECT_EQ(both->encode("Hello", SpecialTokens::without), (Ids{369, 447, 370, 276, 374}));
  // A text encoder's end of sequence is not doubled.
  EXPECT_EQ(load_reference("siglip")->encode("</s>"), Ids{1});
}

TEST(Tokenizer, ContinuationsHaveNoSpaceOfTheirOwn) {
  for (const char* folder : {"llava-gqa", "llava-mqa-full", "paligemma"}) {
    const auto tokenizer = load_reference(folder);
    for (const char* text : {" red", "red", "  two", "\nred", "é"}) {
      Ids joined = tokenizer->encode("ASSISTANT:");
      const Ids more = tokenizer->encode_continuation(text);
      joined.insert(joined.end(), more.begin(), more.end());
      EXPECT_EQ(joined, tokenizer->encode(std::string("ASSISTANT:") + text)) << folder << text;
    }
    EXPECT_EQ(tokenizer->encode_continuation(""), Ids{});
  }
}

TEST(Tokenizer, SpecialTokensAreKeptOnRequest) {
  const auto tokenizer = load_reference("llava-gqa");
  const Ids ids = tokenizer->encode("a<image>b</s>");
  EXPECT_EQ(tokenizer->decode(ids), "ab");
  EXPECT_EQ(tokenizer->decode(ids, SpecialTokens::with), "<s> a<image>b</s>");
}

TEST(Tokenizer, IdsWithoutTokenAreLeftOut) {
  for (const std::string& folder : testing::kTokenizerFolders) {
    const auto tokenizer = load_reference(folder);
    Ids ids = tokenizer->encode("Is there a red circle?");
    const std::string text = tokenizer->decode(ids);
    ids.insert(ids.begin() + 3, {-1, tokenizer->vocab_size(), INT32_MAX, INT32_MIN});
    EXPECT_EQ(tokenizer->decode(ids), text) << folder;
    EXPECT_EQ(tokenizer->decode(Ids{-1, 100000}), "");
  }
}

TEST(Tokenizer, BytesThatAreNoUtf8) {
  const auto tokenizer = load_reference("llava-gqa");
  EXPECT_EQ(tokenizer->encode("a\xFF\xE5\x9B"
                              "b"),
            tokenizer->encode("a\uFFFD\uFFFDb"));
  const std::string zero("a\0b", 3);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(zero)), zero);
  // One replacement for each byte, as sentencepiece does it: <0xE5> <0x9B>, then 図 complete, then <0xE5>
  // 'b'.
  const std::int32_t byte0 = *tokenizer->token_id("<0x00>");
  const Ids ids = {byte0 + 0xE5, byte0 + 0x9B, byte0 + 0xE5, byte0 + 0x9B, byte0 + 0xB3, byte0 + 0xE5, 388};
  EXPECT_EQ(tokenizer->decode(ids), "\uFFFD\uFFFD図\uFFFDb");
}

TEST(Tokenizer, FlagsOfAddedTokens) {
  const auto tokenizer = load_changed("llava-gqa", [](Json& config) {
    Json& tokens = config["added_tokens_decoder"];
    tokens["482"] = added("<left>");
    tokens["482"]["lstrip"] = true;
    tokens["483"] = added("<right>");
    tokens["483"]["rstrip"] = true;
    tokens["484"] = added("<word>");
    tokens["484"]["single_word"] = true;
    tokens["485"] = added("<image>s");
    tokens["486"] = added("<im");
  });
  const auto parts = [&](const char* text) { return tokenizer->encode(text, SpecialTokens::without); };
  EXPECT_EQ(parts("a \u3000<left> b"), (Ids{261, 482, 283}));
  EXPECT_EQ(parts("a<right> \nb"), (Ids{261, 483, 388}));
  EXPECT_EQ(parts("a <word> b"), (Ids{261, 369, 484, 283}));
  for (const char* touched : {"a<word> b", "<word>b", "a <word>b"}) {
    EXPECT_THAT(parts(touched), ::testing::Not(::testing::Contains(484))) << touched;
  }
  EXPECT_EQ(parts("a<image>s<image><imb"), (Ids{261, 485, 480, 486, 388}));  // the longest that begins there
  EXPECT_EQ(tokenizer->decode(parts("a<image>s<imb")), "a<image>s<imb");
}

TEST(Tokenizer, OlderFolders) {
  // Before added_tokens_decoder there were added_tokens.json and special_tokens_map.json.
  const auto tokenizer = load_changed("llava-gqa", [](Json& config) {
    config.erase("added_tokens_decoder");
    config.erase("additional_special_tokens");
    config.erase("pad_token");
  });
  EXPECT_EQ(tokenizer->encode("USER: <image>\nHello</s>"),
            load_reference("llava-gqa")->encode("USER: <image>\nHello</s>"));
  EXPECT_EQ(tokenizer->pad(), 481);
  EXPECT_TRUE(tokenizer->is_special(480));
}

TEST(Tokenizer, NothingButTheVocabulary) {
  const TemporaryFolder folder;
  write_file(folder.path() / "tokenizer.model",
             read_file(testing::kReference / "llama" / "model" / "tokenizer.model"));
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->encode("Hello</s>"), (Ids{1, 369, 447, 370, 276, 374, 2}));
  EXPECT_EQ(tokenizer->eos(), 2);
  EXPECT_TRUE(tokenizer->is_special(1));
}

TEST(Tokenizer, LowerCasesWhereTheFilesSaySo) {
  const auto tokenizer = load_reference("siglip");
  EXPECT_EQ(tokenizer->encode("NOTHING"), tokenizer->encode("nothing"));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("nothing")), "nothing");
}

TEST(Tokenizer, LongTextsTakeTimeInProportion) {
  const auto repeat = [](const std::string& text) {
    std::string out;
    while (out.size() < 1000000) out += text;
    return out;
  };
  for (const char* folder : {"llava-gqa", "gemma"}) {
    const auto tokenizer = load_reference(folder);
    for (const char* unit : {"The quick brown fox ", "a", "日本", "<imag", "<image>"}) {
      const std::string text = repeat(unit);
      const auto start = std::chrono::steady_clock::now();
      const Ids ids = tokenizer->encode(text);
      if (std::string_view(unit) != "<image>") {
        EXPECT_EQ(tokenizer->decode(ids), text);
      }
      EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20)) << folder << unit;
    }
  }
  const auto text_encoder = load_reference("siglip");
  EXPECT_NO_THROW(text_encoder->encode(repeat("日").substr(0, 60000)));
  EXPECT_THROW(text_encoder->encode(repeat("日")), ItemError);
  try {
    load_reference("llama")->encode(std::string(Tokenizer::kMaxTextBytes + 1, ' '));
    FAIL();
  } catch (const ItemError& e) {
    EXPECT_EQ(e.code(), ErrorCode::prompt_too_long);
  }
}

TEST(Tokenizer, ThreadsShareOne) {
  const auto tokenizer = load_reference("llava-mqa-full");
  const Ids ids = tokenizer->encode("How many  squares are there?");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([tokenizer, &ids] {
      for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(tokenizer->encode("How many  squares are there?"), ids);
        EXPECT_EQ(tokenizer->decode(ids), "How many  squares are there?");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(TokenizerErrors, NoSentencepieceFile) {
  EXPECT_THAT(load_error([](const auto& folder) { std::filesystem::remove(folder / "tokenizer.model"); }),
              AllOf(HasSubstr("no tokenizer"), HasSubstr("tokenizer.model or spiece.model")));
}

// Where both are there, tokenizer.json counts.
TEST(TokenizerErrors, TokenizerJsonComesFirst) {
  EXPECT_THAT(load_error([](const auto& folder) {
                write_file(folder / "tokenizer.json", R"({"model": {"type": "X"}})");
              }),
              AllOf(HasSubstr("tokenizer.json"), HasSubstr("a model 'X' is not supported")));
}

TEST(TokenizerErrors, BrokenFilesAreNamed) {
  for (const std::string content : {"", "no protobuf", "\x0A\xFF\xFF\xFF\xFF\x7F", "{}", "\x0A\x00"}) {
    EXPECT_THAT(load_error([&](const auto& folder) { write_file(folder / "tokenizer.model", content); }),
                HasSubstr("tokenizer.model"))
        << content;
  }
  EXPECT_THAT(
      load_error([&](const auto& folder) { write_file(folder / "tokenizer_config.json", "{\"a\": "); }),
      HasSubstr("tokenizer_config.json"));
  EXPECT_THAT(config_error([](Json& config) { config["legacy"] = "yes"; }),
              AllOf(HasSubstr("tokenizer_config.json"), HasSubstr("'legacy'")));
  EXPECT_THAT(config_error([](Json& config) { config["bos_token"] = 1; }), HasSubstr("'bos_token'"));
  EXPECT_THAT(config_error([](Json& config) {
                config["eos_token"] = {{"content", ""}};
              }),
              HasSubstr("'eos_token'"));
  EXPECT_THAT(config_error([](Json& config) { config["added_tokens_decoder"] = Json::array(); }),
              HasSubstr("'added_tokens_decoder'"));
  EXPECT_THAT(config_error([](Json& config) { config["additional_special_tokens"] = {3}; }),
              HasSubstr("'additional_special_tokens'"));
}

TEST(TokenizerErrors, AddedTokensThatContradict) {
  const auto error = [](const char* id, const char* content) {
    return config_error([&](Json& config) { config["added_tokens_decoder"][id] = added(content); });
  };
  EXPECT_THAT(error("490", "<fine>"), "no error");
  // A control piece may be renamed, but not while the old name is in use.
  EXPECT_THAT(error("2", "<renamed>"), HasSubstr("'eos_token'"));
  EXPECT_THAT(config_error([](Json& config) {
                config["added_tokens_decoder"]["2"] = added("<renamed>");
                config["eos_token"] = "<renamed>";
              }),
              "no error");
  EXPECT_THAT(error("-1", "<x>"),
              AllOf(HasSubstr("tokenizer_config.json"), HasSubstr("'added_tokens_decoder.-1'")));
  for (const char* id : {"16777216", "99999999999999999999", "x", "", "1x"}) {
    EXPECT_THAT(error(id, "<x>"), HasSubstr("expected a token id from 0 to")) << id;
  }
  EXPECT_THAT(error("490", "<image>"), HasSubstr("contradicts token '<image>' with id 480"));
  EXPECT_THAT(error("0480", "<x>"), HasSubstr("contradicts"));
  EXPECT_THAT(error("272", "<x>"), HasSubstr("the vocabulary has '▁the'"));
  EXPECT_THAT(error("490", "▁the"), HasSubstr("the vocabulary has it at 272"));
  EXPECT_THAT(error("13", "<x>"), HasSubstr("the vocabulary has '<0x0A>'"));
  EXPECT_THAT(error("490", ""), HasSubstr("content of 1 to"));
  EXPECT_THAT(error("490", std::string(2000, 'x').c_str()), HasSubstr("content of 1 to"));
  EXPECT_THAT(load_error([](const auto& folder) {
                write_file(folder / "tokenizer_config.json", "{}");
                write_file(folder / "added_tokens.json", R"({"<image>": -3})");
              }),
              AllOf(HasSubstr("added_tokens.json"), HasSubstr("'<image>'")));
}

TEST(TokenizerErrors, FilesThatAreNoJsonAreToldWhereTheyDoNotCountToo) {
  for (const char* name : {"added_tokens.json", "special_tokens_map.json"}) {
    EXPECT_THAT(load_error([&](const auto& folder) { write_file(folder / name, "{\"a\": "); }),
                HasSubstr(name));
    const TemporaryFolder folder;
    write_file(folder.path() / "tokenizer.json", read_file(std::filesystem::path(MMBATCH_TEST_DATA) /
                                                           "tokenizers" / "qwen3" / "tokenizer.json"));
    write_file(folder.path() / "tokenizer_config.json", R"({"added_tokens_decoder": {}})");
    EXPECT_NE(load_tokenizer(folder.path()), nullptr);
    write_file(folder.path() / name, "{\"a\": ");
    try {
      load_tokenizer(folder.path());
      ADD_FAILURE() << name << " was passed over";
    } catch (const ModelError& e) {
      EXPECT_THAT(e.what(), HasSubstr(name));
    }
  }
}

TEST(TokenizerErrors, TokensThatAreAskedForMustExist) {
  EXPECT_THAT(load_error([](const auto& folder) {
                const auto spiece = testing::kReference / "siglip" / "model" / "spiece.model";
                write_file(folder / "tokenizer.model", read_file(spiece));
                std::filesystem::remove(folder / "added_tokens.json");
                std::filesystem::remove(folder / "special_tokens_map.json");
                write_file(folder / "tokenizer_config.json", R"({"add_bos_token": true})");
              }),
              HasSubstr("'add_bos_token'"));
}

}  // namespace
}  // namespace mmbatch
