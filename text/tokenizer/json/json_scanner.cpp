#include "text/tokenizer/json/json_scanner.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"

namespace mmbatch {

void JsonScanner::fail(const std::string& problem) const {
  const auto lines = std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at_), '\n');
  throw ModelError(fmt::format("{}: line {}, byte {}: {}", source_, lines + 1, at_, problem));
}

void JsonScanner::fail_expected(char c) const {
  fail(fmt::format("expected '{}'", c));
}

std::string_view JsonScanner::string(std::string& storage) {
  expect('"');
  const std::size_t begin = at_;
  while (at_ < text_.size()) {
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (c == '"') return text_.substr(begin, at_++ - begin);
    if (c == '\\') {
      storage.assign(text_.substr(begin, at_ - begin));
      unescape(storage);
      return storage;
    }
    if (c < 0x20) fail("a control character in a string");
    if (c < 0x80) {
      ++at_;
      continue;
    }
    // Two bytes are what a byte-level vocabulary is full of.
    const bool two = c >= 0xC2 && c < 0xE0 && at_ + 1 < text_.size() && (text_[at_ + 1] & 0xC0) == 0x80;
    const std::size_t length = two ? 2 : utf8_length(text_.substr(at_));
    if (length == 0) fail("a string that is not UTF-8");
    at_ += length;
  }
  fail("a string without an end");
}

void JsonScanner::unescape(std::string& out) {
  while (at_ < text_.size()) {
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (c == '"') {
      ++at_;
      return;
    }
    if (c < 0x20) fail("a control character in a string");
    if (c != '\\') {
      const std::size_t length = c < 0x80 ? 1 : utf8_length(text_.substr(at_));
      if (length == 0) fail("a string that is not UTF-8");
      out.append(text_.substr(at_, length));
      at_ += length;
      continue;
    }
    const char escape = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    at_ += 2;
    static constexpr std::string_view kEscapes = "\"\\/bfnrt";
    static constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
    if (escape == 'u') {
      char32_t unit = hex4();
      if (unit >= 0xD800 && unit < 0xDC00) {
        if (!text_.substr(std::min(at_, text_.size())).starts_with("\\u")) fail("half a surrogate pair");
        at_ += 2;
        const char32_t low = hex4();
        if (low < 0xDC00 || low > 0xDFFF) fail("half a surrogate pair");
        unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
      } else if (unit >= 0xDC00 && unit <= 0xDFFF) {
        fail("half a surrogate pair");
      }
      append_code_point(unit, out);
    } else if (const std::size_t known = kEscapes.find(escape); known != std::string_view::npos) {
      out += kValues[known];
    } else {
      fail("an unknown escape");
    }
  }
  fail("a string without an end");
}

std::uint32_t JsonScanner::hex4() {
  std::uint32_t value = 0;
  const std::string_view digits = text_.substr(std::min(at_, text_.size()), 4);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc() || end != digits.data() + 4) fail("\\u without four digits");
  at_ += 4;
  return value;
}

std::string_view JsonScanner::number_text() {
  skip_space();
  const std::size_t begin = at_;
  while (at_ < text_.size() && (std::string_view("+-.eE").find(text_[at_]) != std::string_view::npos ||
                                (text_[at_] >= '0' && text_[at_] <= '9'))) {
    ++at_;
  }
  return text_.substr(begin, at_ - begin);
}

std::int64_t JsonScanner::integer() {
  const std::string_view digits = number_text();
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) fail("expected an integer");
  return value;
}

double JsonScanner::number() {
  const std::string_view digits = number_text();
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) fail("expected a number");
  return value;
}

bool JsonScanner::at_list() {
  skip_space();
  return at_ < text_.size() && text_[at_] == '[';
}

std::string_view JsonScanner::raw_value() {
  skip_space();
  const std::size_t begin = at_;
  skip_value(0);
  return text_.substr(begin, at_ - begin);
}

void JsonScanner::skip_value(int depth) {
  if (depth > kMaxDepth) fail(fmt::format("nested deeper than {} levels", kMaxDepth));
  skip_space();
  const char c = at_ < text_.size() ? text_[at_] : '\0';
  std::string storage;
  if (c == '"') {
    string(storage);
  } else if (c == '{') {
    object([&](std::string_view) { skip_value(depth + 1); });
  } else if (c == '[') {
    list([&] { skip_value(depth + 1); });
  } else if (c == '-' || (c >= '0' && c <= '9')) {
    number();
  } else {
    for (const std::string_view word : {"true", "false", "null"}) {
      if (!text_.substr(std::min(at_, text_.size())).starts_with(word)) continue;
      at_ += word.size();
      return;
    }
    fail("expected a value");
  }
}

void JsonScanner::end() {
  skip_space();
  if (at_ < text_.size()) fail("more text behind the value");
}

}  // namespace mmbatch
