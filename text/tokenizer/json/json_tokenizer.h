#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/json/added_tokens.h"
#include "text/tokenizer/json/decode/decoders.h"
#include "text/tokenizer/json/normalize/normalizers.h"
#include "text/tokenizer/json/post_processor.h"
#include "text/tokenizer/json/special_tokens.h"
#include "text/tokenizer/json/split/pre_tokenizers.h"
#include "text/tokenizer/models/token_model.h"
#include "text/tokenizer/tokenizer.h"

namespace mmbatch {

/// A tokenizer.json, as the `tokenizers` library computes it: added tokens are cut out, what is between is
/// normalized, added tokens are cut out again, and pieces of the rest are cut into tokens by the model.
class JsonTokenizer : public Tokenizer {
 public:
  static constexpr std::size_t kMaxFileBytes = 256u << 20;

  /// @param json a tokenizer.json.  @param source what errors name, such as the file's path.
  /// @param special tokens of the other files; they are added.
  /// @throws ModelError that names the key, and what is not supported.
  JsonTokenizer(std::string_view json, const std::string& source, const SpecialTokenFiles& special = {})
      : JsonTokenizer(nullptr, json, source, special) {}
  /// @param model what the file's model section would say; null where it says it.
  JsonTokenizer(std::unique_ptr<const TokenModel> model, std::string_view json, const std::string& source,
                const SpecialTokenFiles& special);

  std::vector<std::int32_t> encode(std::string_view text,
                                   SpecialTokens special = SpecialTokens::with) const override;
  std::vector<std::int32_t> encode_continuation(std::string_view text) const override;
  std::unique_ptr<TokenStream> stream(SpecialTokens special = SpecialTokens::without) const override;

  std::optional<std::int32_t> token_id(std::string_view piece) const override;
  std::string_view piece(std::int32_t id) const override;
  bool is_special(std::int32_t id) const override;
  bool in_vocabulary(std::int32_t id) const override;
  std::optional<std::string> bytes_inside_text(std::int32_t id) const override;
  bool spaces_words() const override { return decoder_->spaces_words(); }
  std::int32_t vocab_size() const override;

  std::optional<std::int32_t> bos() const override { return bos_; }
  std::optional<std::int32_t> eos() const override { return eos_; }
  std::optional<std::int32_t> pad() const override { return pad_; }
  std::optional<std::int32_t> unk() const override { return unk_; }

 private:
  void read(std::string_view json, const std::string& source, const SpecialTokenFiles& special);
  void add_tokens(const SpecialTokenFiles& special);
  /// False when it became longer than `most` bytes.
  bool normalize(NormalizedText& text, std::size_t most) const;
  Ids ids_of(std::string_view text, Beginning beginning) const;
  void encode_segment(NormalizedText segment, bool first, Ids& ids) const;

  std::unique_ptr<const TokenModel> model_;
  std::vector<std::unique_ptr<const Normalizer>> normalizers_;
  std::vector<std::unique_ptr<const PreTokenizer>> pre_tokenizers_;
  PostProcessor post_processor_;
  std::unique_ptr<const TokenDecoder> decoder_;
  AddedTokens added_;
  std::optional<std::int32_t> bos_, eos_, pad_, unk_;
};

/// The tokenizer of a checkpoint's tokenizer.json, with the special tokens that the files beside it name.
/// @throws ModelError that names file and key
std::shared_ptr<const Tokenizer> load_json_tokenizer(const CheckpointFiles& files);

}  // namespace mmbatch
