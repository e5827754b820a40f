#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "text/tokenizer/json/decode/decoders.h"
#include "text/tokenizer/json/normalize/replacement.h"

namespace mmbatch {

/// The bytes of a token of GPT-2's alphabet; one with another character keeps its own bytes.
std::string bytes_of_byte_level(std::string_view token);
/// The byte of a token such as <0x0A>.
std::optional<char> byte_of_token(std::string_view token);

/// A stage that takes tokens as wholes.
class WholeTokenStage : public DecodeStage {
 public:
  void put(std::string_view text, Ends ends) final;

 protected:
  virtual void put_token(std::string_view token) = 0;

 private:
  std::string parts_;
};

/// GPT-2's alphabet back to bytes, over all tokens; a token with another character keeps its own bytes. Each
/// maximal part that is not UTF-8 becomes U+FFFD.
class ByteLevelStage : public WholeTokenStage {
 public:
  void finish() override;

 protected:
  void put_token(std::string_view token) override;

 private:
  std::string waiting_;  // the beginning of a UTF-8 sequence
  bool any_ = false;
};

/// Runs of <0x00> to <0xFF> become characters. Where a run is not UTF-8, U+FFFD stands for each of its bytes,
/// as the `tokenizers` library has it, or for each maximal part that is not, as llama.cpp's texts are read.
class ByteFallbackStage : public WholeTokenStage {
 public:
  enum class Invalid { every_byte, parts };

  explicit ByteFallbackStage(Invalid invalid) : invalid_(invalid) {}
  void finish() override;

 protected:
  void put_token(std::string_view token) override;

 private:
  void end_run();

  Invalid invalid_;
  std::string run_;
};

/// All tokens become one.
class FuseStage : public DecodeStage {
 public:
  void put(std::string_view text, Ends ends) override;
  void finish() override;

 private:
  bool any_ = false;
};

/// Takes up to some characters of one kind off both ends of each token.
class StripStage : public DecodeStage {
 public:
  StripStage(std::string content, std::int64_t start, std::int64_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {}
  void put(std::string_view text, Ends ends) override;

 private:
  std::string content_;
  std::int64_t start_, stop_;
  std::int64_t left_ = 0;     // that may still be taken off at the beginning
  std::int64_t waiting_ = 0;  // of content, that may be the token's end
};

class ReplaceStage : public WholeTokenStage {
 public:
  ReplaceStage(TextPattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

 protected:
  void put_token(std::string_view token) override;

 private:
  TextPattern pattern_;
  std::string content_;
};

/// ▁ becomes a space; in the first token it goes, unless nothing was put before the text.
class MetaspaceStage : public WholeTokenStage {
 public:
  enum class First { drops, keeps };
  MetaspaceStage(std::string replacement, First first)
      : replacement_(std::move(replacement)), first_(first) {}

 protected:
  void put_token(std::string_view token) override;

 private:
  std::string replacement_;
  First first_;
};

/// A space before each token but the first, unless it has the prefix, which goes.
class WordPieceStage : public WholeTokenStage {
 public:
  enum class Cleanup { no, yes };
  WordPieceStage(std::string prefix, Cleanup cleanup) : prefix_(std::move(prefix)), cleanup_(cleanup) {}

 protected:
  void put_token(std::string_view token) override;

 private:
  std::string prefix_;
  Cleanup cleanup_;
  bool first_ = true;
};

/// The mark of a word's end becomes a space, and the text has none at its beginning and end.
class WordEndStage : public DecodeStage {
 public:
  explicit WordEndStage(std::string mark) : mark_(std::move(mark)) {}
  void put(std::string_view text, Ends ends) override;

 private:
  std::string mark_;
  std::string spaces_;  // that are text only if more comes
  bool any_ = false;
};

/// The suffix becomes a space, at the end of the last token nothing.
class BpeStage : public WholeTokenStage {
 public:
  explicit BpeStage(std::string suffix) : suffix_(std::move(suffix)) {}
  void finish() override;

 protected:
  void put_token(std::string_view token) override;

 private:
  std::string suffix_;
  std::string held_;
  bool holds_ = false;
};

/// Connectionist temporal classification: repeated tokens count once, padding goes.
class CtcStage : public WholeTokenStage {
 public:
  enum class Cleanup { no, yes };
  CtcStage(std::string pad, std::string delimiter, Cleanup cleanup)
      : pad_(std::move(pad)), delimiter_(std::move(delimiter)), cleanup_(cleanup) {}

 protected:
  void put_token(std::string_view token) override;

 private:
  std::string pad_, delimiter_;
  Cleanup cleanup_;
  std::string last_;
  bool any_ = false;
};

/// Spaces between tokens.
class JoinStage : public WholeTokenStage {
 protected:
  void put_token(std::string_view token) override;

 private:
  bool any_ = false;
};

}  // namespace mmbatch
