#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// U+2581, a space inside pieces.
inline constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";

/// What a piece of the vocabulary is; numbered as in sentencepiece_model.proto.
enum class PieceKind { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

struct SentencePiece {
  std::string text;
  PieceKind kind = PieceKind::normal;
  std::uint8_t byte = 0;  // of a byte piece, `<0x0A>`
};

/// The space before the text that makes its first word equal to a word inside it.
enum class DummyPrefix { as_stored, off };

/// A sentencepiece vocabulary and its segmentation (BPE or unigram). Read from bytes that nobody vouches for:
/// the library reads out of bounds or aborts on some broken models, so everything is checked before it sees
/// them. Thread-safe after construction. Move-only.
class SentencePieceModel {
 public:
  static constexpr std::size_t kMaxFileBytes = 64u << 20;

  /// @param bytes a serialized ModelProto.  @param source what errors name, such as the file's path.
  /// @throws ModelError
  SentencePieceModel(std::string_view bytes, const std::string& source, DummyPrefix dummy_prefix);
  ~SentencePieceModel();
  SentencePieceModel(SentencePieceModel&&) noexcept;
  SentencePieceModel& operator=(SentencePieceModel&&) noexcept;

  /// Appends the ids of `text`, one segment.
  /// @param text well-formed UTF-8, bounded by the caller: int is the library's size type.
  /// @throws ItemError when the library refuses the text.
  void encode(std::string_view text, std::vector<std::int32_t>& ids) const;

  const std::vector<SentencePiece>& pieces() const { return pieces_; }
  std::optional<std::int32_t> find(std::string_view piece) const;

  std::optional<std::int32_t> bos() const;
  std::optional<std::int32_t> eos() const;
  std::optional<std::int32_t> pad() const;
  std::int32_t unk() const { return unk_; }
  /// How the unknown piece looks in decoded text.
  const std::string& unk_surface() const { return unk_surface_; }

  bool byte_fallback() const { return byte_fallback_; }
  /// Whether a text gets a dummy prefix: as asked for, and as the file has it.
  bool dummy_prefix() const { return dummy_prefix_; }
  bool stored_dummy_prefix() const { return stored_dummy_prefix_; }
  bool removes_extra_spaces() const { return removes_extra_spaces_; }

 private:
  struct Library;

  void read(std::string_view bytes, const std::string& source);
  void read_piece(std::string_view bytes, const std::string& source);
  void read_trainer(std::string_view bytes, const std::string& source);
  void read_normalizer(std::string_view bytes, const std::string& source);
  void check_pieces(const std::string& source);

  std::vector<SentencePiece> pieces_;
  std::int32_t unk_ = -1;
  std::string unk_surface_ = " \xE2\x81\x87 ";
  bool byte_fallback_ = false;
  bool stored_dummy_prefix_ = true;
  bool dummy_prefix_ = true;
  bool removes_extra_spaces_ = true;
  std::unique_ptr<const Library> library_;
};

}  // namespace mmbatch
