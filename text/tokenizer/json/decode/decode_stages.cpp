#include "text/tokenizer/json/decode/decode_stages.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "engine/base/text/utf8.h"
#include "text/tokenizer/models/byte_characters.h"

namespace mmbatch {
namespace {

/// English punctuation and contractions that word pieces put apart.
std::string clean_up(std::string text) {
  static constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) text = replace_all(text, from, to);
  return text;
}

}  // namespace

std::string bytes_of_byte_level(std::string_view token) {
  std::string bytes;
  for (std::size_t at = 0; at < token.size();) {
    const int byte = byte_of_character(next_code_point(token, at));
    if (byte < 0) return std::string(token);
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

std::optional<char> byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, value, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

void WholeTokenStage::put(std::string_view text, Ends ends) {
  if (ends == whole) {
    put_token(text);
    return;
  }
  parts_ += text;
  if ((ends & end) == 0) return;
  const std::string token = std::move(parts_);
  parts_.clear();
  put_token(token);
}

void ByteLevelStage::put_token(std::string_view token) {
  waiting_ += bytes_of_byte_level(token);
  std::size_t certain = waiting_.size();  // what is behind may still become a character
  for (std::size_t length = std::min<std::size_t>(3, waiting_.size()); length > 0; --length) {
    if (!utf8_incomplete(std::string_view(waiting_).substr(waiting_.size() - length))) continue;
    certain = waiting_.size() - length;
    break;
  }
  if (certain == 0 && any_) return;
  next_->put(replace_invalid_utf8(std::string_view(waiting_).substr(0, certain)), any_ ? inside : begin);
  any_ = true;
  waiting_.erase(0, certain);
}

void ByteLevelStage::finish() {
  next_->put(replace_invalid_utf8(waiting_), any_ ? end : whole);
  next_->finish();
}

void ByteFallbackStage::put_token(std::string_view token) {
  if (const auto byte = byte_of_token(token)) {
    run_ += *byte;
    return;
  }
  end_run();
  next_->put(token, whole);
}

void ByteFallbackStage::end_run() {
  if (run_.empty()) return;
  if (invalid_ == Invalid::parts) {
    next_->put(replace_invalid_utf8(run_), whole);
  } else if (is_utf8(run_)) {
    next_->put(run_, whole);
  } else {
    for (std::size_t i = 0; i < run_.size(); ++i) next_->put(kReplacementCharacter, whole);
  }
  run_.clear();
}

void ByteFallbackStage::finish() {
  end_run();
  next_->finish();
}

void FuseStage::put(std::string_view text, Ends) {
  next_->put(text, any_ ? inside : begin);
  any_ = true;
}

void FuseStage::finish() {
  next_->put("", any_ ? end : whole);
  next_->finish();
}

void StripStage::put(std::string_view text, Ends ends) {
  if ((ends & begin) != 0) {
    left_ = start_;
    waiting_ = 0;
  }
  while (left_ > 0 && text.starts_with(content_)) {
    text.remove_prefix(content_.size());
    --left_;
  }
  if (!text.empty()) left_ = 0;
  std::string out;
  std::int64_t behind = 0;  // of content at the end of what is there
  while (stop_ > 0 && text.ends_with(content_)) {
    text.remove_suffix(content_.size());
    ++behind;
  }
  if (!text.empty()) {
    for (; waiting_ > 0; --waiting_) out += content_;
    out += text;
  }
  waiting_ += behind;
  if ((ends & end) != 0) waiting_ = std::max<std::int64_t>(0, waiting_ - stop_);
  const std::int64_t certain = (ends & end) != 0 ? waiting_ : std::max<std::int64_t>(0, waiting_ - stop_);
  for (std::int64_t i = 0; i < certain; ++i) out += content_;
  waiting_ -= certain;
  next_->put(out, ends);
}

void ReplaceStage::put_token(std::string_view token) {
  next_->put(replace_matches(token, pattern_, content_), whole);
}

void MetaspaceStage::put_token(std::string_view token) {
  next_->put(replace_all(token, replacement_, first_ == First::drops ? "" : " "), whole);
  first_ = First::keeps;
}

void WordPieceStage::put_token(std::string_view token) {
  std::string text;
  if (first_) {
    text = token;
  } else if (token.starts_with(prefix_)) {
    text = token.substr(prefix_.size());
  } else {
    text = " " + std::string(token);
  }
  first_ = false;
  next_->put(cleanup_ == Cleanup::yes ? clean_up(std::move(text)) : text, whole);
}

void BpeStage::put_token(std::string_view token) {
  if (holds_) next_->put(suffix_.empty() ? held_ : replace_all(held_, suffix_, " "), whole);
  held_ = token;
  holds_ = true;
}

void BpeStage::finish() {
  if (holds_) next_->put(suffix_.empty() ? held_ : replace_all(held_, suffix_, ""), whole);
  next_->finish();
}

void WordEndStage::put(std::string_view text, Ends) {
  constexpr const char* kSpaces = " \t\r\n\v\f";
  std::string all = spaces_ + replace_all(text, mark_, " ");
  if (!any_) all.erase(0, std::min(all.find_first_not_of(kSpaces), all.size()));
  const std::size_t last = all.find_last_not_of(kSpaces);
  const std::size_t end = last == std::string::npos ? 0 : last + 1;
  spaces_ = all.substr(end);
  if (end == 0) return;
  any_ = true;
  next_->put(std::string_view(all).substr(0, end), whole);
}

void CtcStage::put_token(std::string_view token) {
  if (any_ && token == last_) return;
  any_ = true;
  last_ = token;
  std::string text = pad_.empty() ? std::string(token) : replace_all(token, pad_, "");
  if (cleanup_ == Cleanup::yes) {
    text = clean_up(std::move(text));
    if (!delimiter_.empty()) text = replace_all(text, delimiter_, " ");
  }
  if (!text.empty()) next_->put(text, whole);
}

void JoinStage::put_token(std::string_view token) {
  if (any_) next_->put(" ", whole);
  any_ = true;
  next_->put(token, whole);
}

}  // namespace mmbatch
