#include "pipeline/inspect/tokenizer_check.h"

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/base/text/counted.h"
#include "text/tokenizer/sentencepiece/sentencepiece_tokenizer.h"

namespace mmbatch {
namespace {

constexpr const char* kOther = "tokenizer.model";

}  // namespace

TokenizerCheck::TokenizerCheck(const ModelFiles& files) : files_(files) {
  const WeightSource& folder = *files.weights;
  if (!folder.has_file("tokenizer.json") || !folder.has_file(kOther)) return;
  try {
    other_ = load_sentencepiece_tokenizer(folder, kOther);
  } catch (const ModelError& e) {
    fault_ = e.what();
  }
}

void TokenizerCheck::compare(const RenderedPrompt& prompt, const std::string& where) {
  if (other_ == nullptr) return;
  try {
    ++compared_;
    const auto counts = files_.tokenizer->encode(prompt.text, prompt.special);
    const auto other = other_->encode(prompt.text, prompt.special);
    if (counts == other) return;
    if (++different_ == 1)
      first_ = fmt::format("{}: {} and {}", where, counts.size(), counted(other.size(), "token"));
  } catch (const ItemError&) {
    // Too long for one of them: the item says so itself.
  }
}

std::optional<std::string> TokenizerCheck::note() const {
  if (!fault_.empty()) return fmt::format("beside tokenizer.json, which counts: {}", fault_);
  if (different_ == 0) return std::nullopt;
  return fmt::format(
      "tokenizer.json, which counts, and tokenizer.model cut {} of {} differently, the first at {}",
      different_, counted(compared_, "prompt"), first_);
}

}  // namespace mmbatch
