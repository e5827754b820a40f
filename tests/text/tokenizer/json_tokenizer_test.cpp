// tokenizer.json held against what the `tokenizers` library computes from the same files
// (tests/data/tokenizers: one small vocabulary for each published pipeline), and what it must refuse.

#include "text/tokenizer/json/json_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"
#include "tests/text/reference_data.h"

namespace mmbatch {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::TemporaryFolder;
using testing::write_file;

const std::filesystem::path kTokenizers = std::filesystem::path(MMBATCH_TEST_DATA) / "tokenizers";

std::vector<std::string> folders() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kTokenizers)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::int32_t> ids_of(const json& list) {
  return list.get<std::vector<std::int32_t>>();
}

std::string streamed(const Tokenizer& tokenizer, const std::vector<std::int32_t>& ids,
                     SpecialTokens special) {
  const auto stream = tokenizer.stream(special);
  std::string text;
  for (const std::int32_t id : ids) {
    std::string piece;
    stream->push(id, piece);
    EXPECT_TRUE(is_utf8(piece)) << "half a character";
    text += piece;
  }
  stream->finish(text);
  return text;
}

class JsonTokenizers : public ::testing::TestWithParam<std::string> {
 protected:
  const std::shared_ptr<const Tokenizer> tokenizer_ = load_tokenizer(kTokenizers / GetParam());
  const json cases_ = json::parse(testing::read_file(kTokenizers / GetParam() / "cases.json"));
};

TEST_P(JsonTokenizers, EncodesAsTheLibraryDoes) {
  ASSERT_GE(cases_["cases"].size(), 40u);
  for (const json& one : cases_["cases"]) {
    const auto text = one["text"].get<std::string>();
    EXPECT_EQ(tokenizer_->encode(text, SpecialTokens::without), ids_of(one["ids"])) << one["text"];
    EXPECT_EQ(tokenizer_->encode(text), ids_of(one["ids_special"])) << one["text"];
  }
}

TEST_P(JsonTokenizers, DecodesAndStreamsAsTheLibraryDoes) {
  const auto check = [&](const std::vector<std::int32_t>& ids, const json& one) {
    for (const auto& [special, key] :
         {std::pair{SpecialTokens::with, "decoded"}, std::pair{SpecialTokens::without, "decoded_skip"}}) {
      const auto expected = one[key].get<std::string>();
      EXPECT_EQ(tokenizer_->decode(ids, special), expected) << one["ids"];
      EXPECT_EQ(streamed(*tokenizer_, ids, special), expected) << one["ids"];
    }
  };
  for (const json& one : cases_["cases"]) check(ids_of(one["ids_special"]), one);
  for (const json& one : cases_["decode"]) {
    std::vector<std::int32_t> ids;
    for (const json& id : one["ids"]) {
      ids.push_back(id.get<std::int64_t>() > INT32_MAX ? -1 : id.get<std::int32_t>());
    }
    check(ids, one);
  }
}

/// Texts that would take a quadratic way minutes.
TEST_P(JsonTokenizers, TakesLongRuns) {
  for (const char* unit : {"a", " ", "7", "\n", "\xF0\x9F\x98\x80", "\xC3\xA9", "\xE6\x97\xA5", "!", "ab "}) {
    std::string text;
    while (text.size() < (200u << 10)) text += unit;
    const auto ids = tokenizer_->encode(text, SpecialTokens::without);
    EXPECT_LE(ids.size(), text.size() * 2);
    for (const std::int32_t id : ids) ASSERT_LT(id, tokenizer_->vocab_size());
  }
}

TEST_P(JsonTokenizers, TakesAnyBytes) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += static_cast<char>(i * 37 % 256);
  EXPECT_NO_THROW(tokenizer_->decode(tokenizer_->encode(text)));
  EXPECT_NO_THROW(tokenizer_->encode_continuation(text));
}

INSTANTIATE_TEST_SUITE_P(Published, JsonTokenizers, ::testing::ValuesIn(folders()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

/// A continuation gets nothing put before it.
TEST(JsonTokenizer, ContinuesAText) {
  for (const char* name :
       {"llama2-legacy", "llama2-metaspace", "metaspace-always", "roberta-prefix", "newline-split"}) {
    const auto tokenizer = load_tokenizer(kTokenizers / name);
    const auto whole = tokenizer->decode(tokenizer->encode_continuation("there"), SpecialTokens::with);
    const auto begun = tokenizer->encode("there", SpecialTokens::without);
    EXPECT_NE(tokenizer->encode_continuation("there"), begun) << name;
    EXPECT_THAT(whole, HasSubstr("there")) << name;
  }
  const auto tokenizer = load_tokenizer(kTokenizers / "qwen3");
  EXPECT_EQ(tokenizer->encode_continuation("there"), tokenizer->encode("there", SpecialTokens::without));
}

std::string error_of(const std::string& content) {
  try {
    JsonTokenizer(content, "tokenizer.json");
  } catch (const ModelError& e) {
    return e.what();
  }
  return "no error";
}

std::string with(const std::string& section) {
  return R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}, )" + section +
         "}";
}

TEST(JsonTokenizer, RefusesByName) {
  EXPECT_THAT(error_of("{}"), HasSubstr("key 'model' is missing"));
  EXPECT_THAT(error_of(R"({"model": {"type": "Neural", "vocab": {}}})"), HasSubstr("a model 'Neural'"));
  EXPECT_THAT(error_of(with(R"("normalizer": {"type": "Rot13"})")),
              AllOf(HasSubstr("normalizer.type"), HasSubstr("a normalizer 'Rot13' is not supported")));
  EXPECT_THAT(
      error_of(with(R"("pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Jieba"}]})")),
      HasSubstr("a pre-tokenizer 'Jieba' is not supported"));
  EXPECT_THAT(error_of(with(R"("post_processor": {"type": "Other"})")),
              HasSubstr("a post-processor 'Other'"));
  EXPECT_THAT(error_of(with(R"("decoder": {"type": "Other"})")), HasSubstr("a decoder 'Other'"));
  const auto split = [](const std::string& regex) {
    return with(R"("pre_tokenizer": {"type": "Split", "behavior": "Isolated", "pattern": {"Regex": ")" +
                regex + "\"}}");
  };
  EXPECT_THAT(error_of(split("a(?P<x>b)")), HasSubstr("not supported"));
  EXPECT_THAT(error_of(split("(a")), HasSubstr("a group without an end"));
  EXPECT_THAT(error_of(split(R"(\\p{Elvish})")), HasSubstr("\\p{Elvish}"));
  EXPECT_THAT(error_of(split(R"((a)\\1)")), HasSubstr("a back reference"));
  EXPECT_EQ(error_of(split(R"(\\p{N}{1,3}+|[\\p{L}&&[^\\p{Han}]]+)")), "no error");
}

TEST(JsonTokenizer, RefusesBrokenFiles) {
  EXPECT_THAT(error_of(R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}})"),
              HasSubstr("a merge has the token 'b', which is not in the vocabulary"));
  EXPECT_THAT(error_of(R"({"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}})"),
              HasSubstr("out of range"));
  EXPECT_THAT(error_of(R"({"model": {"type": "BPE", "vocab": {"a": 99999999999}, "merges": []}})"),
              HasSubstr("out of range"));
  EXPECT_THAT(error_of(R"({"model": {"type": "Unigram", "vocab": [["a", 1e999]], "unk_id": 0}})"),
              HasSubstr("number"));
  EXPECT_THAT(error_of(R"({"model": {"type": "Unigram", "vocab": [["a", 1]], "unk_id": 7}})"),
              HasSubstr("unk_id"));
  EXPECT_THAT(error_of(R"({"model": {"type": "BPE", "vocab": {"a)"), HasSubstr("line 1"));
  EXPECT_THAT(error_of("{\"model\": " + std::string(200, '[') + std::string(200, ']') + "}"),
              HasSubstr("nested"));
  EXPECT_THAT(error_of(with(R"("normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"})")),
              HasSubstr("normalization map"));
}

TEST(JsonTokenizer, BoundsWhatAFileOfAFewLinesCanAskFor) {
  const std::string a64(64, 'a');
  const std::string replace = R"({"type": "Replace", "pattern": {"String": "a"}, "content": ")" + a64 + "\"}";
  const std::string sequence =
      R"("normalizer": {"type": "Sequence", "normalizers": [)" + replace + ", " + replace + "]}";
  const auto added = [&](const std::string& content) {
    return with(sequence + R"(, "added_tokens": [{"id": 3, "normalized": true, "content": ")" + content +
                "\"}]");
  };
  EXPECT_EQ(error_of(added("a")), "no error");
  EXPECT_THAT(error_of(added("aa")), HasSubstr("a token of more than 4096 bytes after normalization"));
  EXPECT_THAT(error_of(added(a64 + a64)), HasSubstr("'added_tokens'"));
  const auto many = [](const char* section, const char* list, std::size_t count) {
    std::string steps;
    for (std::size_t i = 0; i < count; ++i)
      steps += std::string(i > 0 ? ", " : "") + R"({"type": ")" + (list[0] == 'n' ? "NFC" : "Digits") + "\"}";
    return with(std::string("\"") + section + R"(": {"type": "Sequence", ")" + list + "\": [" + steps + "]}");
  };
  EXPECT_EQ(error_of(many("normalizer", "normalizers", 64)), "no error");
  EXPECT_THAT(error_of(many("normalizer", "normalizers", 65)), HasSubstr("normalizers': too many"));
  EXPECT_EQ(error_of(many("pre_tokenizer", "pretokenizers", 64)), "no error");
  EXPECT_THAT(error_of(many("pre_tokenizer", "pretokenizers", 65)), HasSubstr("pretokenizers': too many"));
}

/// `legacy: false` with add_prefix_space: as the sentencepiece tokenizer of such a folder does it.
TEST(JsonTokenizer, PutsThePrefixAtTheBeginningOnlyWhereTheConfigSaysSo) {
  const TemporaryFolder folder;
  std::filesystem::copy(kTokenizers / "llama2-legacy" / "tokenizer.json", folder.path() / "tokenizer.json");
  const auto ids = [&](const std::string& config) {
    write_file(folder.path() / "tokenizer_config.json", config);
    return load_tokenizer(folder.path())->encode("a<image>b", SpecialTokens::without);
  };
  const auto every = ids(R"({"legacy": false})"),
             first = ids(R"({"legacy": false, "add_prefix_space": true})");
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->decode(every, SpecialTokens::with), "a<image> b");
  EXPECT_EQ(tokenizer->decode(first, SpecialTokens::with), "a<image>b");
}

TEST(JsonTokenizer, TakesTheFlagsOfTheOtherFiles) {
  const TemporaryFolder folder;
  std::filesystem::copy(kTokenizers / "qwen3" / "tokenizer.json", folder.path() / "tokenizer.json");
  write_file(folder.path() / "tokenizer_config.json",
             R"({"eos_token": "<new>", "pad_token": {"content": "<|im_end|>"},
      "bos_token": null, "added_tokens_decoder": {"741": {"content": "<|im_start|>", "lstrip": true, "special": true}}})");
  const auto tokenizer = load_tokenizer(folder.path());
  ASSERT_TRUE(tokenizer->eos());
  EXPECT_EQ(tokenizer->piece(*tokenizer->eos()), "<new>");
  EXPECT_TRUE(tokenizer->is_special(*tokenizer->eos()));
  EXPECT_FALSE(tokenizer->bos());
  EXPECT_EQ(tokenizer->pad(), tokenizer->token_id("<|im_end|>"));
  EXPECT_EQ(tokenizer->encode("a  <|im_start|>", SpecialTokens::without),
            (std::vector<std::int32_t>{*tokenizer->token_id("a"), *tokenizer->token_id("<|im_start|>")}));
}

/// transformers' Qwen2Tokenizer builds a tokenizer of its own: NFC, and the flags of tokenizer_config.json
/// only.
TEST(JsonTokenizer, DoesWhatTheNamedClassDoesDifferently) {
  const TemporaryFolder folder;
  write_file(folder.path() / "tokenizer.json",
             R"({"model": {"type": "BPE", "vocab": {"e": 0, "\u0301": 1, "\u00e9": 2}, "merges": []},
      "added_tokens": [{"id": 3, "content": "<think>", "special": true, "normalized": false},
                       {"id": 4, "content": "<end>", "special": true, "normalized": false}]})");
  const auto load = [&](const std::string& class_name, const std::string& model_type) {
    write_file(folder.path() / "config.json", R"({"model_type": ")" + model_type + "\"}");
    write_file(
        folder.path() / "tokenizer_config.json",
        R"({"eos_token": "<end>", "added_tokens_decoder": {"3": {"content": "<think>", "special": false},
        "4": {"content": "<end>", "special": false}}, "tokenizer_class": ")" +
            class_name + "\"}");
    return load_tokenizer(folder.path());
  };
  const std::string apart = "e\u0301";
  for (const char* name : {"Qwen2Tokenizer", "Qwen2TokenizerFast"}) {
    const auto tokenizer = load(name, "qwen3");
    EXPECT_EQ(tokenizer->encode(apart, SpecialTokens::without), (std::vector<std::int32_t>{2})) << name;
    EXPECT_FALSE(tokenizer->is_special(3)) << name;
    EXPECT_TRUE(tokenizer->is_special(4)) << name;  // it has a role
  }
  for (const auto& [name, type] :
       {std::pair{"PreTrainedTokenizerFast", "qwen3"}, {"Qwen2Tokenizer", "qwen2"}}) {
    const auto tokenizer = load(name, type);
    EXPECT_EQ(tokenizer->encode(apart, SpecialTokens::without), (std::vector<std::int32_t>{0, 1})) << name;
    EXPECT_TRUE(tokenizer->is_special(3)) << name;
  }
}

}  // namespace
}  // namespace mmbatch
