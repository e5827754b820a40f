#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/tokenizer/sentencepiece/token_table.h"
#include "text/tokenizer/tokenizer.h"

namespace mmbatch {

/// sentencepiece's decoding of consecutive pieces, piece by piece. Bytes of byte pieces that are not UTF-8
/// become U+FFFD each. Only whole UTF-8 sequences are ever given out.
class PieceRun {
 public:
  explicit PieceRun(const DecodeRules& rules) : rules_(&rules) {}

  /// Appends to `out` what is certain with this piece.
  void push(const Token& piece, std::string& out);
  /// A piece that the vocabulary does not have comes out as it stands.
  void push_unknown(std::string_view text, std::string& out);
  /// Appends what bytes that wait for more are in the end.
  void close(std::string& out);

 private:
  void push_byte(char byte, std::string& out);
  void push_text(std::string_view text, std::string& out);
  void begin_visible(std::string& out);

  const DecodeRules* rules_;
  std::string waiting_;  // the beginning of a UTF-8 sequence
  bool any_text_ = false;
  bool at_begin_ = true;        // a leading space may still be dropped
  bool dropped_space_ = false;  // by the piece before
};

/// Decodes ids one at a time: transformers' PreTrainedTokenizer._decode and convert_tokens_to_string as a
/// state machine, so that streamed text and whole text are the same by construction. Ids without a token are
/// left out.
class TokenJoiner final : public TokenStream {
 public:
  /// @param table must outlive the joiner.
  TokenJoiner(const TokenTable& table, SpecialTokens special);

  /// Appends to `out` the text that is certain with this id.
  void push(std::int32_t id, std::string& out) override;
  /// Appends the rest; nothing may be pushed after it.
  void finish(std::string& out) override;

 private:
  enum class RunEnd { before_token, at_end };

  void push_in_run(const Token& token, std::string& out);
  void feed(const Token& token, std::string& out);
  void feed_first(const Token& token, std::string& out);
  void end_run(RunEnd end, std::string& out);
  void emit(std::string_view text, std::string& out);
  void separate(std::string& out);

  const TokenTable* table_;
  SpecialTokens special_;
  PieceRun run_;
  std::string held_;  // of the run: what a kept special token may still put a space before
  std::size_t run_tokens_ = 0;
  bool run_visible_ = false;  // the run has given out text
  bool after_special_ = false;
  std::size_t texts_ = 0;  // runs and standalone tokens before this one
};

}  // namespace mmbatch
