#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "text/template/jinja/syntax/lexer.h"

namespace mmbatch::jinja {

/// The tokens of a template, one at a time, and what is said when another one was expected.
class TokenStreamReader {
 public:
  explicit TokenStreamReader(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token next() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_[at_]; }

  bool is(Token::Kind kind) const { return current().kind == kind; }
  bool is_op(std::string_view text) const { return is(Token::Kind::op) && current().text == text; }
  bool is_name(std::string_view text) const { return is(Token::Kind::name) && current().text == text; }
  bool take_op(std::string_view text) { return is_op(text) && (next(), true); }
  bool take_name(std::string_view text) { return is_name(text) && (next(), true); }
  void expect_op(std::string_view text) {
    if (!take_op(text)) fail_expected("'" + std::string(text) + "'");
  }
  void expect_name(std::string_view text) {
    if (!take_name(text)) fail_expected("'" + std::string(text) + "'");
  }
  Token expect(Token::Kind kind, const std::string& what) {
    if (!is(kind)) fail_expected(what);
    return next();
  }
  [[noreturn]] void fail(const std::string& message) const { throw SyntaxError(message, current().at); }
  [[noreturn]] void fail_expected(const std::string& what) const {
    fail("expected " + what + ", got " + describe(current()));
  }

  static std::string describe(const Token& token) {
    switch (token.kind) {
      case Token::Kind::end:
        return "the end of the template";
      case Token::Kind::block_end:
        return "the end of the statement";
      case Token::Kind::variable_end:
        return "the end of the print statement";
      case Token::Kind::data:
        return "template data";
      default:
        return "'" + token.text + "'";
    }
  }

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

}  // namespace mmbatch::jinja
