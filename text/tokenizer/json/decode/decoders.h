#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/config.h"

namespace mmbatch {

/// A step of decoding, at work on one text. Tokens come one after the other; a token may come in several
/// parts.
class DecodeStage {
 public:
  /// Which ends of a token a part has.
  enum Ends { inside = 0, begin = 1, end = 2, whole = 3 };

  virtual ~DecodeStage() = default;
  virtual void put(std::string_view text, Ends ends) = 0;
  /// No more tokens come.
  virtual void finish() { next_->finish(); }

  DecodeStage* next_ = nullptr;
};

/// A tokenizer.json's `decoder`: how tokens become text. Const after loading and thread-safe.
class TokenDecoder {
 public:
  /// Reads the section; where it is absent or null, tokens are joined with spaces.
  /// @param word_end what becomes a space in the decoded text, which is stripped then; empty: nothing
  /// @throws ModelError that names the key, and a type that is not supported.
  explicit TokenDecoder(const Config& tokenizer, const std::string& word_end = {});

  /// The stages of one text, each connected to the next; the last one appends to `out`, which must outlive
  /// them.
  std::vector<std::unique_ptr<DecodeStage>> start(std::string* const* out) const;

  /// The bytes of a token inside a text.
  std::string bytes_inside_text(std::string_view token) const;
  /// Whether spaces are put between tokens.
  bool spaces_words() const { return spaces_words_; }

 private:
  using Maker = std::function<std::unique_ptr<DecodeStage>()>;

  void read(const Config& step, int depth);
  std::string text_of(std::initializer_list<std::string_view> tokens) const;

  std::vector<Maker> makers_;
  bool byte_level_ = false;     // tokens are written in GPT-2's alphabet
  bool byte_fallback_ = false;  // <0x00> to <0xFF> are bytes
  bool spaces_words_ = false;
};

}  // namespace mmbatch
