#include "text/tokenizer/tokenizer.h"

#include <fmt/format.h>

#include "engine/base/config.h"
#include "engine/base/error.h"
#include "text/tokenizer/sentencepiece/sentencepiece_tokenizer.h"

namespace mmbatch {
namespace {

constexpr const char* kSupported = "supported is sentencepiece: tokenizer.model or spiece.model";

bool has_file(const std::filesystem::path& folder, const char* name) {
  std::error_code failed;
  return std::filesystem::is_regular_file(folder / name, failed);
}

/// A folder with a tokenizer.json alone: made from a sentencepiece model, which then can be copied, or not.
[[noreturn]] void refuse_tokenizer_json(const std::filesystem::path& file) {
  const Config model = Config::read(file).child("model");
  const std::string type = model.text("type", "");
  if (type == "Unigram" || (type == "BPE" && model.flag("byte_fallback", false))) {
    throw ModelError(
        fmt::format("{}: made from a sentencepiece model that is not in the folder; copy tokenizer.model (or "
                    "spiece.model) from the published checkpoint",
                    file.string()));
  }
  throw ModelError(
      fmt::format("{}: a tokenizer of this kind ({}) is not supported; {}. Take a checkpoint that has one",
                  file.string(), type == "BPE" ? "byte-level BPE" : "'" + type + "'", kSupported));
}

}  // namespace

std::string Tokenizer::decode(std::span<const std::int32_t> ids, SpecialTokens special) const {
  const std::unique_ptr<TokenStream> decoding = stream(special);
  std::string out;
  for (const std::int32_t id : ids) decoding->push(id, out);
  decoding->finish(out);
  return out;
}

std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& folder) {
  for (const char* name : {"tokenizer.model", "spiece.model"}) {
    if (has_file(folder, name)) return load_sentencepiece_tokenizer(folder, name);
  }
  if (has_file(folder, "tokenizer.json")) refuse_tokenizer_json(folder / "tokenizer.json");
  for (const char* name : {"vocab.json", "merges.txt", "vocab.txt"}) {
    if (!has_file(folder, name)) continue;
    throw ModelError(fmt::format("{}: a tokenizer of this kind is not supported; {}",
                                 (folder / name).string(), kSupported));
  }
  throw ModelError(fmt::format("{}: no tokenizer; {}: copy it from the published checkpoint", folder.string(),
                               kSupported));
}

}  // namespace mmbatch
