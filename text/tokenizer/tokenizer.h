#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/token_joiner.h"

namespace mmbatch {

/// Whether a text gets the begin and end of sequence that the checkpoint's files ask for.
enum class Bos { as_configured, none };

/// The tokenizer of a checkpoint folder: sentencepiece with added tokens, ids and text as transformers'
/// Python
/// ("slow") classes give them. Cheap to copy; const after load and thread-safe.
class Tokenizer {
 public:
  static constexpr std::size_t kMaxTextBytes = 4u
                                               << 20;  // the library takes some 250 bytes of memory for each
  /// Without byte pieces the library takes time quadratic in a stretch of unknown characters.
  static constexpr std::size_t kMaxTextBytesWithoutBytePieces = 64u << 10;

  /// Reads tokenizer.model or spiece.model, tokenizer_config.json, added_tokens.json and
  /// special_tokens_map.json.
  /// @throws ModelError that names the file, and the key, and says what is supported.
  static Tokenizer load(const std::filesystem::path& model_dir);

  /// The ids of a text. It is cut at added tokens, `<image>` among them, and each part is segmented for
  /// itself. Bytes that are no UTF-8 count as U+FFFD. Bos::none leaves out the end of sequence too.
  /// @throws ItemError prompt_too_long over kMaxTextBytes.
  std::vector<std::int32_t> encode(std::string_view text, Bos bos = Bos::as_configured) const;

  /// The ids of a text that goes on from another one: as encode() with Bos::none, without the dummy prefix.
  std::vector<std::int32_t> encode_continuation(std::string_view text) const;

  /// The text of ids; always UTF-8. Byte pieces are joined, each byte of them that is no UTF-8 becomes
  /// U+FFFD; ids that no token has, such as the padding rows of an embedding, are left out.
  std::string decode(std::span<const std::int32_t> ids, Special special = Special::skip) const;

  /// The id of an added token or piece.
  std::optional<std::int32_t> token_id(std::string_view piece) const;
  /// The added token or piece as the vocabulary writes it (`▁the`, `<0x0A>`); empty when no token has this
  /// id.
  std::string_view piece(std::int32_t id) const;
  /// Whether decode() leaves it out: named by the files as bos, eos, … or marked as special.
  bool is_special(std::int32_t id) const;
  /// One more than the highest id of pieces and added tokens; a checkpoint's embedding may have more rows.
  std::int32_t vocab_size() const;

  std::optional<std::int32_t> bos() const;
  std::optional<std::int32_t> eos() const;
  std::optional<std::int32_t> pad() const;
  std::optional<std::int32_t> unk() const;

  /// What decoding needs of the vocabulary; lives as long as any copy of this tokenizer.
  const TokenTable& table() const;

 private:
  struct Data;
  enum class Place { first, inside };  // of a text: where nothing, or other text, stands before it

  explicit Tokenizer(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  void encode_text(std::string_view text, Place place, std::vector<std::int32_t>& ids) const;
  void encode_after_anchor(std::string_view text, std::vector<std::int32_t>& ids) const;
  void encode_segment(std::string_view text, Place place, std::vector<std::int32_t>& ids) const;

  std::shared_ptr<const Data> data_;
};

}  // namespace mmbatch
