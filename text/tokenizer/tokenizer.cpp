#include "text/tokenizer/tokenizer.h"

#include <fmt/format.h>

#include "engine/base/error.h"
#include "text/tokenizer/gguf/gguf_tokenizer.h"
#include "text/tokenizer/json/json_tokenizer.h"
#include "text/tokenizer/sentencepiece/sentencepiece_tokenizer.h"

namespace mmbatch {
namespace {

constexpr const char* kSupported =
    "supported are tokenizer.json and sentencepiece (tokenizer.model or spiece.model)";

}  // namespace

std::string Tokenizer::decode(std::span<const std::int32_t> ids, SpecialTokens special) const {
  const std::unique_ptr<TokenStream> decoding = stream(special);
  std::string out;
  for (const std::int32_t id : ids) decoding->push(id, out);
  decoding->finish(out);
  return out;
}

std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& folder) {
  return load_tokenizer(FolderFiles(folder));
}

std::shared_ptr<const Tokenizer> load_tokenizer(const CheckpointFiles& files) {
  if (files.gguf() != nullptr) return load_gguf_tokenizer(files);
  if (files.has_file("tokenizer.json")) return load_json_tokenizer(files);
  for (const char* name : {"tokenizer.model", "spiece.model"}) {
    if (files.has_file(name)) return load_sentencepiece_tokenizer(files, name);
  }
  for (const char* name : {"vocab.json", "merges.txt", "vocab.txt"}) {
    if (!files.has_file(name)) continue;
    throw ModelError(
        fmt::format("{}: a tokenizer of this kind is not supported; {}", files.source_of(name), kSupported));
  }
  throw ModelError(fmt::format("{}: no tokenizer; {}: copy it from the published checkpoint",
                               files.path().string(), kSupported));
}

}  // namespace mmbatch
