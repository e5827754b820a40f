#include "text/tokenizer/json/python_class.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

namespace mmbatch {
namespace {

/// Classes of transformers 5 that build a tokenizer of their own, and take vocabulary, merges and
/// post-processor only from tokenizer.json; "Fast" may stand behind them.
constexpr std::string_view kBuildingClasses[] = {"Qwen2Tokenizer", "Qwen3_5Tokenizer", "LlamaTokenizer",
                                                 "GemmaTokenizer", "GPT2Tokenizer",    "CLIPTokenizer"};
/// Kinds of model whose published files name a wrong class, which is known to transformers: it takes their
/// tokenizer.json as it is.
constexpr std::string_view kWronglyNamed[] = {"llava",   "llava_next",  "phi3",    "paddleocr_vl", "qwen2",
                                              "qwen3_5", "qwen3_5_moe", "siglip2", "smolvlm"};

template <std::size_t Size>
bool is_one_of(const std::string_view (&names)[Size], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

}  // namespace

void read_python_class(const Config& config, const CheckpointFiles& checkpoint, SpecialTokenFiles& files) {
  std::string name = config.text("tokenizer_class", "");
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  if (name == "CLIPTokenizer") files.word_end = "</w>";
  if (!is_one_of(kBuildingClasses, name)) return;
  if (is_one_of(kWronglyNamed, checkpoint.json_file("config.json").text("model_type", ""))) return;
  files.composes = name.starts_with("Qwen");
  files.decoder_decides = true;
}

}  // namespace mmbatch
