#pragma once

#include <functional>
#include <initializer_list>
#include <string_view>

#include "text/template/jinja/syntax/token_stream.h"
#include "text/template/jinja/syntax/tree.h"

namespace mmbatch::jinja {

/// Filters and tests that a template may name; what else it names is an error when it is read.
struct KnownNames {
  std::function<bool(std::string_view)> is_filter, is_test;
};

/// Reads expressions by Jinja's grammar, which binds differently from Python's in places: `-2 ** 2` is 4, `2
/// ** 3 ** 2` is 64, filters and tests belong to the operand before them.
class ExpressionParser {
 public:
  ExpressionParser(TokenStreamReader& tokens, const KnownNames& known) : tokens_(tokens), known_(known) {}

  enum class Condition { allowed, not_allowed };
  /// An expression, with `a if b else c` or without.
  ExpressionPtr expression(Condition condition = Condition::allowed);
  /// An expression, or several with commas between, which are a tuple.
  /// @param end a name that ends the list, such as `in`.
  ExpressionPtr tuple(Condition condition, std::string_view end = {});
  /// `| a(…) | b` upon `operand`; in a filter block the first bar is left out.
  ExpressionPtr filters(ExpressionPtr operand, bool begins_with_name);
  Target target(std::string_view end = {}, bool attributes = false);
  std::string target_name();

  /// While inside of an `if`, unknown filters and tests are errors only when they are reached.
  bool lenient = false;
  /// Whether these names have been read: macros take more arguments where they use them.
  bool saw_varargs = false, saw_kwargs = false;

 private:
  using Kind = Expression::Kind;
  struct DepthGuard;

  static std::unique_ptr<Expression> make(Kind kind, Position at, std::string text = {});
  void adopt(Expression& parent, ExpressionPtr part);
  void adopt_arguments(Expression& parent, std::vector<Argument> arguments);
  ExpressionPtr conditional();
  /// Operators that bind alike, and from the left.
  ExpressionPtr from_left(Kind kind, std::initializer_list<const char*> operators,
                          ExpressionPtr (ExpressionParser::*operand)());
  ExpressionPtr logical_or();
  ExpressionPtr logical_and();
  ExpressionPtr logical_not();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concat();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr factor();
  ExpressionPtr unary();
  ExpressionPtr primary();
  ExpressionPtr literal_name();
  ExpressionPtr number();
  ExpressionPtr list();
  ExpressionPtr dict();
  ExpressionPtr postfix(ExpressionPtr operand);
  ExpressionPtr postfix_filters(ExpressionPtr operand);
  ExpressionPtr element(ExpressionPtr operand);
  ExpressionPtr test(ExpressionPtr operand);
  std::vector<Argument> arguments();
  bool at_tuple_end(std::string_view end) const;

  TokenStreamReader& tokens_;
  const KnownNames& known_;
  int depth_ = 0;
};

}  // namespace mmbatch::jinja
