#include "text/tokenizer/tokenizer.h"

#include <fmt/format.h>

#include "engine/base/error.h"
#include "text/tokenizer/json/json_tokenizer.h"
#include "text/tokenizer/sentencepiece/sentencepiece_tokenizer.h"

namespace mmbatch {
namespace {

constexpr const char* kSupported =
    "supported are tokenizer.json and sentencepiece (tokenizer.model or spiece.model)";

bool has_file(const std::filesystem::path& folder, const char* name) {
  std::error_code failed;
  return std::filesystem::is_regular_file(folder / name, failed);
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
  if (has_file(folder, "tokenizer.json")) return load_json_tokenizer(folder);
  for (const char* name : {"tokenizer.model", "spiece.model"}) {
    if (has_file(folder, name)) return load_sentencepiece_tokenizer(folder, name);
  }
  for (const char* name : {"vocab.json", "merges.txt", "vocab.txt"}) {
    if (!has_file(folder, name)) continue;
    throw ModelError(fmt::format("{}: a tokenizer of this kind is not supported; {}",
                                 (folder / name).string(), kSupported));
  }
  throw ModelError(fmt::format("{}: no tokenizer; {}: copy it from the published checkpoint", folder.string(),
                               kSupported));
}

}  // namespace mmbatch
