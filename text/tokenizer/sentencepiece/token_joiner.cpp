#include "text/tokenizer/sentencepiece/token_joiner.h"

#include "engine/base/text/utf8.h"

namespace mmbatch {
const Token* TokenTable::find(std::int32_t id) const {
  if (id >= 0 && static_cast<std::size_t>(id) < pieces.size()) return &pieces[static_cast<std::size_t>(id)];
  const auto found = added.find(id);
  return found == added.end() ? nullptr : &found->second;
}

void PieceRun::push(const Token& piece, std::string& out) {
  if (piece.kind == PieceKind::byte) {
    push_byte(static_cast<char>(piece.byte), out);
    return;
  }
  begin_visible(out);
  dropped_space_ = false;
  if (piece.kind == PieceKind::control) return;
  if (piece.kind == PieceKind::unknown) {
    push_text(rules_->unk_surface, out);
    return;
  }
  std::string_view text = piece.text;
  if (at_begin_ && (rules_->strips_first_space || rules_->strips_leading_spaces) &&
      text.starts_with(kSpaceSymbol)) {
    text.remove_prefix(kSpaceSymbol.size());
    // Where all leading spaces go, the next piece is still one at the beginning.
    dropped_space_ = !rules_->strips_leading_spaces;
  }
  push_text(replace_all(text, kSpaceSymbol, " "), out);
}

void PieceRun::push_unknown(std::string_view text, std::string& out) {
  begin_visible(out);
  dropped_space_ = false;
  push_text(text, out);
}

void PieceRun::begin_visible(std::string& out) {
  close(out);
  if (dropped_space_ || any_text_) at_begin_ = false;
}

void PieceRun::push_byte(char byte, std::string& out) {
  waiting_ += byte;
  while (!waiting_.empty() && !utf8_incomplete(waiting_)) {
    const std::size_t length = utf8_length(waiting_);
    push_text(length > 0 ? std::string_view(waiting_).substr(0, length) : kReplacementCharacter, out);
    waiting_.erase(0, length > 0 ? length : 1);
  }
}

void PieceRun::close(std::string& out) {
  // What waits is the beginning of one sequence: every byte of it is one that is not UTF-8.
  for (std::size_t i = 0; i < waiting_.size(); ++i) push_text(kReplacementCharacter, out);
  waiting_.clear();
}

void PieceRun::push_text(std::string_view text, std::string& out) {
  any_text_ = any_text_ || !text.empty();
  out += text;
}

TokenJoiner::TokenJoiner(const TokenTable& table, SpecialTokens special)
    : table_(&table), special_(special), run_(table.rules) {}

void TokenJoiner::push(std::int32_t id, std::string& out) {
  const Token* token = table_->find(id);
  if (token == nullptr || (token->special && special_ == SpecialTokens::without)) return;
  const bool standalone = table_->rules.verbatim ? token->added : token->standalone;
  if (!standalone) {
    push_in_run(*token, out);
    return;
  }
  end_run(RunEnd::before_token, out);
  separate(out);
  out += table_->rules.verbatim ? replace_all(token->text, kSpaceSymbol, " ") : token->text;
  ++texts_;
}

void TokenJoiner::push_in_run(const Token& token, std::string& out) {
  const DecodeRules& rules = table_->rules;
  const std::size_t index = run_tokens_++;
  if (token.special && !rules.verbatim) {
    // The space comes before the text since the last special token, not behind it: so do transformers.
    if (rules.legacy && index != 0 && !after_special_) emit(" ", out);
    run_.close(held_);
    emit(held_ + token.text, out);
    held_.clear();
    run_ = PieceRun(rules);
    after_special_ = true;
    return;
  }
  if (!rules.verbatim && after_special_ && index == 1 && rules.add_prefix_space &&
      !token.text.starts_with(kSpaceSymbol)) {
    emit(" ", out);
  }
  after_special_ = false;
  if (index == 0 && !rules.verbatim && rules.add_prefix_space && token.text.starts_with(kSpaceSymbol)) {
    feed_first(token, held_);
  } else {
    feed(token, held_);
  }
  if (special_ == SpecialTokens::with && !rules.verbatim) return;
  emit(held_, out);
  held_.clear();
}

void TokenJoiner::feed(const Token& token, std::string& out) {
  if (token.piece) {
    run_.push(token, out);
  } else {
    run_.push_unknown(token.text, out);
  }
}

/// The first token loses its space before sentencepiece sees it; what is left may be another piece, or none.
void TokenJoiner::feed_first(const Token& token, std::string& out) {
  const std::string rest = token.text.substr(kSpaceSymbol.size());
  if (const auto id = table_->model->find(rest)) {
    Token piece = table_->pieces[static_cast<std::size_t>(*id)];
    piece.text = rest;
    run_.push(piece, out);
  } else {
    run_.push_unknown(rest, out);
  }
}

void TokenJoiner::end_run(RunEnd end, std::string& out) {
  if (run_tokens_ == 0) return;
  run_.close(held_);
  emit(held_, out);
  held_.clear();
  // A run without text counts as one at the end only: so do transformers.
  const bool counts = end == RunEnd::at_end || table_->rules.verbatim;
  if (!run_visible_ && counts) separate(out);
  if (run_visible_ || counts) ++texts_;
  run_ = PieceRun(table_->rules);
  run_tokens_ = 0;
  run_visible_ = false;
  after_special_ = false;
}

void TokenJoiner::finish(std::string& out) {
  end_run(RunEnd::at_end, out);
}

void TokenJoiner::emit(std::string_view text, std::string& out) {
  if (text.empty()) return;
  if (!run_visible_) separate(out);
  run_visible_ = true;
  if (table_->rules.verbatim) {
    out += replace_all(text, kSpaceSymbol, " ");
  } else {
    out += text;
  }
}

void TokenJoiner::separate(std::string& out) {
  if (table_->rules.spaces_between && texts_ > 0) out += ' ';
}

}  // namespace mmbatch
