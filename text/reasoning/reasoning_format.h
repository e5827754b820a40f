#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/tokenizer.h"

namespace mmbatch {

/// How a model marks what it thinks before it answers. All marks are tokens.
struct ReasoningFormat {
  std::vector<std::int32_t> open;     // thinking begins behind them
  std::vector<std::int32_t> close;    // the answer begins behind them
  std::vector<std::int32_t> written;  // what ends thinking that has gone on for too long
  // Where thoughts are messages of their own: what stands between one of these tokens and the last one is a
  // message's head, and no thought.
  std::vector<std::int32_t> head_begin;
  std::optional<std::int32_t> head_end;
  std::string label;  // what begins the thoughts' text and is not part of it
};

/// The marks that a vocabulary has tokens for, of those that are known:
///   <think> … </think>, [THINK] … [/THINK], <|START_THINKING|> … <|END_THINKING|>
///   <|channel>thought\n … <channel|>
///   <|channel|>analysis<|message|> … <|end|><|start|>assistant<|channel|>final<|message|>
/// None: it has none of them.
std::optional<ReasoningFormat> find_reasoning(const Tokenizer& tokenizer);
/// Between two marks that a manifest names, which should be tokens of the vocabulary.
/// @throws ItemError when a mark has no tokens
ReasoningFormat reasoning_between(const Tokenizer& tokenizer, std::string_view open, std::string_view close);

/// Whether a prompt ends behind the opening mark, but for white space: the model then goes on thinking.
bool ends_inside(const Tokenizer& tokenizer, const ReasoningFormat& format,
                 std::span<const std::int32_t> prompt);

/// Makes the text of thoughts, token by token, without heads.
class ReasoningText {
 public:
  /// Both must outlive it.
  ReasoningText(const Tokenizer& tokenizer, const ReasoningFormat& format);
  void push(std::int32_t token, std::string& out);
  void finish(std::string& out) { stream_->finish(out); }

 private:
  const ReasoningFormat& format_;
  std::unique_ptr<TokenStream> stream_;
  enum class Place { text, head } place_ = Place::text;
  bool any_ = false;
};

/// The same at once, without white space around it.
std::string reasoning_text(const Tokenizer& tokenizer, const ReasoningFormat& format,
                           std::span<const std::int32_t> thoughts);

}  // namespace mmbatch
