// Classes of tokenizers, by the names that published files have for them. A class says nothing of a model's
// family: published models of many families name the same ones.

#include "text/tokenizer/json/tokenizer_classes.h"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace mmbatch {
namespace {

/// Classes of transformers 5 that build a tokenizer of their own, and take vocabulary, merges and
/// post-processor only from tokenizer.json; "Fast" may stand behind them.
constexpr std::string_view kBuildingClasses[] = {"Qwen2Tokenizer", "Qwen3_5Tokenizer", "LlamaTokenizer",
                                                 "GemmaTokenizer", "GPT2Tokenizer",    "CLIPTokenizer"};
constexpr std::string_view kComposingClasses[] = {"Qwen2Tokenizer", "Qwen3_5Tokenizer"};
/// Values of model_type whose published files name a wrong class, which is known to transformers: it takes
/// their tokenizer.json as it is.
constexpr std::string_view kWronglyNamed[] = {"llava",   "llava_next",  "phi3",    "paddleocr_vl", "qwen2",
                                              "qwen3_5", "qwen3_5_moe", "siglip2", "smolvlm"};

template <std::size_t Size>
bool is_one_of(const std::string_view (&names)[Size], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

}  // namespace

TokenizerClassRules rules_of_class(const Config& tokenizer, const Config& model) {
  TokenizerClassRules rules;
  std::string name = tokenizer.text("tokenizer_class", "");
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  if (name == "CLIPTokenizer") rules.word_end = "</w>";
  if (!is_one_of(kBuildingClasses, name) || is_one_of(kWronglyNamed, model.text("model_type", "")))
    return rules;
  rules.composes = is_one_of(kComposingClasses, name);
  rules.decoder_decides = true;
  return rules;
}

}  // namespace mmbatch
