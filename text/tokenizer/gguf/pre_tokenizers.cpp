#include "text/tokenizer/gguf/pre_tokenizers.h"

#include <map>

namespace mmbatch::gguf {
namespace {

const std::string kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
const std::string kContractions = R"((?i:'s|'t|'re|'ve|'m|'ll|'d))";
const std::string kEnd = R"(\s*[\r\n]+|\s+(?!\S)|\s+)";

/// Of Llama 3 and its kin, which differ in how many digits are one piece.
std::string words(const std::string& letters, const std::string& digits, const std::string& not_punctuation) {
  return kContractions + R"(|[^\r\n\p{L}\p{N}]?)" + letters + "|" + digits + R"(| ?[^\s)" + not_punctuation +
         R"(]+[\r\n]*|)" + kEnd;
}

const std::string kUpper = R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])";
const std::string kLower = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])";

/// Words that begin where capitals end. @param after behind a word, such as contractions
std::string cased_words(const std::string& after, const std::string& digits) {
  const std::string before = R"([^\r\n\p{L}\p{N}]?)";
  return before + kUpper + "*" + kLower + "+" + after + "|" + before + kUpper + "+" + kLower + "*" + after +
         "|" + digits + R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" + kEnd;
}

/// Marks of parts of files and repositories.
const std::vector<std::string_view> kParts = {"<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>",
                                              "<|fim_pad|>",    "<|repo_name|>",  "<|file_sep|>"};

const std::map<std::string, VocabularyKind> kVocabularies = {{"llama", VocabularyKind::scores},
                                                             {"gpt2", VocabularyKind::byte_merges},
                                                             {"gemma4", VocabularyKind::piece_merges}};

struct Names {
  std::vector<const char*> names;
  PreTokenizer pre_tokenizer;
};

std::vector<Names> all_names() {
  const std::string letters = R"(\p{L}+)", plain = R"(\p{L}\p{N})";
  const std::string three = R"(\p{N}{1,3})", one = R"(\p{N})";
  return {
      {{"default"}, {{R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}}},
      {{"gpt-2", "gpt2", "phi-2", "mpt", "olmo", "jais", "gigachat", "trillion", "modern-bert"}, {{kGpt2}}},
      {{"smollm", "starcoder", "refact", "command-r", "exaone", "codeshell", "granite-docling", "minerva-7b"},
       {{one, kGpt2}}},
      {{"llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "lfm2"},
       {{words(letters, three, plain)}, true, true}},
      {{"dbrx", "smaug-bpe", "glm4", "chatglm-bpe"}, {{words(letters, three, plain)}}},
      {{"qwen2"}, {.expressions = {words(letters, one, plain)}, .shown = kParts}},
      {{"deepseek-r1-qwen", "stablelm2", "hunyuan", "hunyuan-dense", "grok-2", "solar-open", "megrez"},
       {{words(letters, one, plain)}}},
      {{"qwen35"}, {.expressions = {words(R"([\p{L}\p{M}]+)", one, R"(\p{L}\p{M}\p{N})")}, .shown = kParts}},
      {{"gpt-4o", "llama4", "kanana2"}, {{cased_words(kContractions + "?", three)}, true}},
      {{"tekken"}, {{cased_words("", one)}, true, true}},
      {{"deepseek-v3"},
       {{three, R"([一-龥぀-ゟ゠-ヿ]+)",
         R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|)" +
             kEnd}}},
  };
}

const std::map<std::string, PreTokenizer>& table() {
  static const std::map<std::string, PreTokenizer> table = [] {
    std::map<std::string, PreTokenizer> by_name;
    for (const Names& entry : all_names()) {
      for (const char* name : entry.names) by_name.emplace(name, entry.pre_tokenizer);
    }
    return by_name;
  }();
  return table;
}

}  // namespace

VocabularyKind vocabulary_kind(const std::string& name) {
  const auto found = kVocabularies.find(name);
  return found == kVocabularies.end() ? VocabularyKind::unknown : found->second;
}

std::string vocabulary_kind_names() {
  std::string names;
  for (const auto& entry : kVocabularies) names += (names.empty() ? "" : ", ") + entry.first;
  return names;
}

const PreTokenizer* find_pre_tokenizer(const std::string& name) {
  const auto found = table().find(name);
  return found == table().end() ? nullptr : &found->second;
}

std::string pre_tokenizer_names() {
  std::string names;
  for (const auto& entry : table()) names += (names.empty() ? "" : ", ") + entry.first;
  return names;
}

}  // namespace mmbatch::gguf
