#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/weights/checkpoint_files.h"

namespace mmbatch {

/// Encoding: whether a text gets the special tokens that the checkpoint's files put around it, such as BOS.
/// Decoding: whether special tokens are part of the text.
enum class SpecialTokens { without, with };

/// Decodes ids one at a time. The state of one text, used by one thread; its tokenizer must outlive it.
class TokenStream {
 public:
  virtual ~TokenStream() = default;

  /// Appends to `out` the text that is certain with this id; always whole UTF-8 sequences.
  virtual void push(std::int32_t id, std::string& out) = 0;
  /// Appends the rest; nothing may be pushed after it.
  virtual void finish(std::string& out) = 0;
};

/// A vocabulary and its rules, whatever files they come from. Const after loading and thread-safe; held by
/// std::shared_ptr<const Tokenizer>.
class Tokenizer {
 public:
  /// The longest text that encode() takes: libraries need some 250 bytes of memory for each byte.
  static constexpr std::size_t kMaxTextBytes = 4u << 20;

  virtual ~Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// The ids of a text. It is cut at added tokens, such as an image placeholder, and each part is segmented
  /// separately. Bytes that are not UTF-8 count as U+FFFD.
  /// @throws ItemError prompt_too_long for more bytes than the tokenizer takes, at most kMaxTextBytes
  virtual std::vector<std::int32_t> encode(std::string_view text,
                                           SpecialTokens special = SpecialTokens::with) const = 0;

  /// The ids of a text that continues another one: as encode() without special tokens, and without
  /// anything that is put before the first word of a text, such as a dummy prefix space.
  virtual std::vector<std::int32_t> encode_continuation(std::string_view text) const = 0;

  /// A decoder of ids as they come. Ids that no token has, such as padding rows of an embedding, are left
  /// out; bytes that do not make up UTF-8 become U+FFFD.
  virtual std::unique_ptr<TokenStream> stream(SpecialTokens special = SpecialTokens::without) const = 0;

  /// The text of ids: what stream() gives for them, put together.
  std::string decode(std::span<const std::int32_t> ids, SpecialTokens special = SpecialTokens::without) const;

  /// The id of an added token or of a piece of the vocabulary, by its text.
  virtual std::optional<std::int32_t> token_id(std::string_view piece) const = 0;
  /// The added token or piece as the vocabulary writes it (`▁the`, `<0x0A>`); empty when no token has this
  /// id.
  virtual std::string_view piece(std::int32_t id) const = 0;
  /// Whether decode() leaves it out unless asked: named by the files as bos, eos, … or marked as special.
  virtual bool is_special(std::int32_t id) const = 0;
  /// Whether the model's own vocabulary has the id, and not the list of added tokens alone.
  virtual bool in_vocabulary(std::int32_t id) const = 0;
  /// What the token adds inside a text: bytes, which need not be whole characters.
  /// Nothing for special tokens, for added ones that are more than white space, and for those without text.
  virtual std::optional<std::string> bytes_inside_text(std::int32_t id) const = 0;
  /// One more than the highest id of pieces and added tokens; a checkpoint's embedding may have more rows.
  virtual std::int32_t vocab_size() const = 0;

  virtual std::optional<std::int32_t> bos() const = 0;
  virtual std::optional<std::int32_t> eos() const = 0;
  virtual std::optional<std::int32_t> pad() const = 0;
  virtual std::optional<std::int32_t> unk() const = 0;

  /// Whether decoding puts spaces between tokens, but for those that go on with a word: then the first one
  /// adds none, and no text has two words, or marks, next to each other.
  virtual bool spaces_words() const { return false; }

 protected:
  Tokenizer() = default;
};

/// The tokenizer of a checkpoint, of the kind that its files are for.
/// @throws ModelError that names the file, and the key, and says what is supported
std::shared_ptr<const Tokenizer> load_tokenizer(const CheckpointFiles& files);
std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& folder);

}  // namespace mmbatch
