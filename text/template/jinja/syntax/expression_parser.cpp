#include "text/template/jinja/syntax/expression_parser.h"

#include <algorithm>
#include <cstdlib>

namespace mmbatch::jinja {
namespace {

constexpr int kMaxTreeDepth = 500;

}  // namespace

struct ExpressionParser::DepthGuard {
  explicit DepthGuard(ExpressionParser& parser) : depth(parser.depth_) {
    if (++depth > kMaxNesting) parser.tokens_.fail("expressions nested too deeply");
  }
  ~DepthGuard() { --depth; }
  int& depth;
};

std::unique_ptr<Expression> ExpressionParser::make(Kind kind, Position at, std::string text) {
  auto made = std::make_unique<Expression>();
  made->kind = kind;
  made->at = at;
  made->text = std::move(text);
  return made;
}

void ExpressionParser::adopt(Expression& parent, ExpressionPtr part) {
  if (part) parent.depth = std::max(parent.depth, part->depth + 1);
  if (parent.depth > kMaxTreeDepth) tokens_.fail("an expression with too many parts");
  parent.parts.push_back(std::move(part));
}

void ExpressionParser::adopt_arguments(Expression& parent, std::vector<Argument> arguments) {
  for (const Argument& argument : arguments) parent.depth = std::max(parent.depth, argument.value->depth + 1);
  if (parent.depth > kMaxTreeDepth) tokens_.fail("an expression with too many parts");
  parent.arguments = std::move(arguments);
}

ExpressionPtr ExpressionParser::expression(Condition condition) {
  const DepthGuard guard(*this);
  return condition == Condition::allowed ? conditional() : logical_or();
}

ExpressionPtr ExpressionParser::conditional() {
  const Position at = tokens_.current().at;
  const bool before = lenient;
  ExpressionPtr first = logical_or();
  while (tokens_.take_name("if")) {
    lenient = true;
    auto made = make(Kind::conditional, at);
    ExpressionPtr condition = logical_or();
    ExpressionPtr otherwise = tokens_.take_name("else") ? expression() : nullptr;
    adopt(*made, std::move(condition));
    adopt(*made, std::move(first));
    adopt(*made, std::move(otherwise));
    first = std::move(made);
  }
  lenient = before;
  return first;
}

ExpressionPtr ExpressionParser::from_left(Kind kind, std::initializer_list<const char*> operators,
                                          ExpressionPtr (ExpressionParser::*operand)()) {
  const auto follows = [&] {
    return std::any_of(operators.begin(), operators.end(),
                       [&](const char* one) { return tokens_.is_op(one) || tokens_.is_name(one); });
  };
  ExpressionPtr left = (this->*operand)();
  while (follows()) {
    const Token op = tokens_.next();
    auto made = make(kind, op.at, op.text);
    adopt(*made, std::move(left));
    adopt(*made, (this->*operand)());
    left = std::move(made);
  }
  return left;
}

ExpressionPtr ExpressionParser::logical_or() {
  return from_left(Kind::logical_or, {"or"}, &ExpressionParser::logical_and);
}

ExpressionPtr ExpressionParser::logical_and() {
  return from_left(Kind::logical_and, {"and"}, &ExpressionParser::logical_not);
}

ExpressionPtr ExpressionParser::logical_not() {
  if (!tokens_.is_name("not")) return comparison();
  const DepthGuard guard(*this);
  auto made = make(Kind::logical_not, tokens_.next().at);
  adopt(*made, logical_not());
  return made;
}

ExpressionPtr ExpressionParser::comparison() {
  const Position at = tokens_.current().at;
  ExpressionPtr first = sum();
  std::unique_ptr<Expression> made;
  while (true) {
    std::string op;
    for (const char* known : {"==", "!=", "<", "<=", ">", ">="}) {
      if (tokens_.is_op(known)) op = known;
    }
    if (tokens_.is_name("in")) op = "in";
    const Token& ahead = tokens_.ahead();
    if (tokens_.is_name("not") && ahead.kind == Token::Kind::name && ahead.text == "in") {
      tokens_.next();
      op = "not in";
    }
    if (op.empty()) break;
    tokens_.next();
    if (!made) {
      made = make(Kind::comparison, at);
      adopt(*made, std::move(first));
    }
    made->names.push_back(op);
    adopt(*made, sum());
  }
  return made ? std::move(made) : std::move(first);
}

ExpressionPtr ExpressionParser::sum() {
  return from_left(Kind::arithmetic, {"+", "-"}, &ExpressionParser::concat);
}

ExpressionPtr ExpressionParser::concat() {
  const Position at = tokens_.current().at;
  ExpressionPtr first = product();
  if (!tokens_.is_op("~")) return first;
  auto made = make(Kind::concat, at);
  adopt(*made, std::move(first));
  while (tokens_.take_op("~")) adopt(*made, product());
  return made;
}

ExpressionPtr ExpressionParser::product() {
  return from_left(Kind::arithmetic, {"*", "/", "//", "%"}, &ExpressionParser::power);
}

ExpressionPtr ExpressionParser::power() {
  return from_left(Kind::arithmetic, {"**"}, &ExpressionParser::factor);
}

ExpressionPtr ExpressionParser::factor() {
  return postfix_filters(unary());
}

ExpressionPtr ExpressionParser::unary() {
  const DepthGuard guard(*this);
  ExpressionPtr made;
  if (tokens_.is_op("-") || tokens_.is_op("+")) {
    const Token op = tokens_.next();
    auto sign = make(op.text == "-" ? Kind::negative : Kind::positive, op.at);
    adopt(*sign, unary());
    made = std::move(sign);
  } else {
    made = primary();
  }
  return postfix(std::move(made));
}

ExpressionPtr ExpressionParser::primary() {
  const Position at = tokens_.current().at;
  switch (tokens_.current().kind) {
    case Token::Kind::name:
      return literal_name();
    case Token::Kind::integer:
    case Token::Kind::floating:
      return number();
    case Token::Kind::string: {
      std::string text;
      while (tokens_.is(Token::Kind::string)) text += tokens_.next().text;
      auto made = make(Kind::constant, at);
      made->value = Value(std::move(text));
      return made;
    }
    default:
      break;
  }
  if (tokens_.take_op("(")) {
    if (tokens_.take_op(")")) return make(Kind::tuple, at);
    ExpressionPtr made = tuple(Condition::allowed);
    tokens_.expect_op(")");
    return made;
  }
  if (tokens_.is_op("[")) return list();
  if (tokens_.is_op("{")) return dict();
  tokens_.fail("unexpected " + TokenStreamReader::describe(tokens_.current()));
}

ExpressionPtr ExpressionParser::literal_name() {
  const Token token = tokens_.next();
  auto made = make(Kind::constant, token.at);
  if (token.text == "true" || token.text == "True") {
    made->value = Value(true);
  } else if (token.text == "false" || token.text == "False") {
    made->value = Value(false);
  } else if (token.text != "none" && token.text != "None") {
    made->kind = Kind::name;
    made->text = token.text;
    saw_varargs = saw_varargs || token.text == "varargs";
    saw_kwargs = saw_kwargs || token.text == "kwargs";
  }
  return made;
}

ExpressionPtr ExpressionParser::number() {
  const Token token = tokens_.next();
  auto made = make(Kind::constant, token.at);
  if (token.kind == Token::Kind::floating) {
    made->value = Value(std::strtod(token.text.c_str(), nullptr));  // too large is infinite, as in Python
    return made;
  }
  std::string_view digits = token.text;
  Int base = 10, value = 0;
  if (digits.size() > 2 && digits[0] == '0' && digits[1] > '9') {
    base = digits[1] == 'x' ? 16 : digits[1] == 'o' ? 8 : 2;
    digits.remove_prefix(2);
  }
  for (const char c : digits) {
    const int digit = c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
    const bool overflow = __builtin_mul_overflow(value, base, &value) ||
                          __builtin_add_overflow(value, static_cast<Int>(digit), &value);
    if (digit < 0 || digit >= base || overflow) throw SyntaxError("an integer that cannot be read", token.at);
  }
  made->value = Value(value);
  return made;
}

ExpressionPtr ExpressionParser::list() {
  auto made = make(Kind::list, tokens_.next().at);
  while (!tokens_.is_op("]")) {
    if (!made->parts.empty()) tokens_.expect_op(",");
    if (tokens_.is_op("]")) break;
    adopt(*made, expression());
  }
  tokens_.expect_op("]");
  return made;
}

ExpressionPtr ExpressionParser::dict() {
  auto made = make(Kind::dict, tokens_.next().at);
  while (!tokens_.is_op("}")) {
    if (!made->parts.empty()) tokens_.expect_op(",");
    if (tokens_.is_op("}")) break;
    adopt(*made, expression());
    tokens_.expect_op(":");
    adopt(*made, expression());
  }
  tokens_.expect_op("}");
  return made;
}

bool ExpressionParser::at_tuple_end(std::string_view end) const {
  return tokens_.is(Token::Kind::variable_end) || tokens_.is(Token::Kind::block_end) ||
         tokens_.is(Token::Kind::end) || tokens_.is_op(")") || (!end.empty() && tokens_.is_name(end));
}

ExpressionPtr ExpressionParser::tuple(Condition condition, std::string_view end) {
  if (at_tuple_end(end)) {
    tokens_.fail("expected an expression, got " + TokenStreamReader::describe(tokens_.current()));
  }
  const Position at = tokens_.current().at;
  ExpressionPtr first = expression(condition);
  if (!tokens_.is_op(",")) return first;
  auto made = make(Kind::tuple, at);
  adopt(*made, std::move(first));
  while (tokens_.take_op(",")) {
    if (at_tuple_end(end)) break;
    adopt(*made, expression(condition));
  }
  return made;
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr operand) {
  while (true) {
    if (tokens_.is_op(".")) {
      tokens_.next();
      const Token name = tokens_.next();
      if (name.kind == Token::Kind::name) {
        auto made = make(Kind::attribute, name.at, name.text);
        adopt(*made, std::move(operand));
        operand = std::move(made);
      } else if (name.kind == Token::Kind::integer) {
        auto made = make(Kind::element, name.at);
        auto index = make(Kind::constant, name.at);
        index->value = Value::integer(std::strtoll(name.text.c_str(), nullptr, 10));
        adopt(*made, std::move(operand));
        adopt(*made, std::move(index));
        operand = std::move(made);
      } else {
        throw SyntaxError("expected a name or number behind '.'", name.at);
      }
    } else if (tokens_.is_op("[")) {
      operand = element(std::move(operand));
    } else if (tokens_.is_op("(")) {
      auto made = make(Kind::call, tokens_.current().at);
      adopt(*made, std::move(operand));
      adopt_arguments(*made, arguments());
      operand = std::move(made);
    } else {
      return operand;
    }
  }
}

ExpressionPtr ExpressionParser::element(ExpressionPtr operand) {
  const Position at = tokens_.next().at;
  std::vector<ExpressionPtr> indices;
  const auto at_part_end = [&] { return tokens_.is_op("]") || tokens_.is_op(",") || tokens_.is_op(":"); };
  auto slice = make(Kind::slice, at);
  adopt(*slice, nullptr);
  do {
    if (tokens_.is_op("]")) break;
    ExpressionPtr first = tokens_.is_op(":") ? nullptr : expression();
    if (!tokens_.is_op(":")) {
      indices.push_back(std::move(first));
      continue;
    }
    if (!indices.empty()) tokens_.fail("a slice inside of a tuple is not supported");
    adopt(*slice, std::move(first));
    for (int part = 0; part < 2; ++part) {
      adopt(*slice, tokens_.take_op(":") && !at_part_end() ? expression() : nullptr);
    }
    if (!tokens_.is_op("]")) tokens_.fail_expected("']'");
  } while (tokens_.take_op(","));
  tokens_.expect_op("]");
  if (slice->parts.size() > 1) {
    slice->depth = std::max(slice->depth, operand->depth + 1);
    if (slice->depth > kMaxTreeDepth) tokens_.fail("an expression with too many parts");
    slice->parts[0] = std::move(operand);
    return slice;
  }
  if (indices.empty()) throw SyntaxError("expected an index", at);
  auto made = make(Kind::element, at);
  adopt(*made, std::move(operand));
  if (indices.size() == 1) {
    adopt(*made, std::move(indices[0]));
  } else {
    auto tuple = make(Kind::tuple, at);
    for (ExpressionPtr& index : indices) adopt(*tuple, std::move(index));
    adopt(*made, std::move(tuple));
  }
  return made;
}

std::vector<Argument> ExpressionParser::arguments() {
  std::vector<Argument> all;
  tokens_.expect_op("(");
  while (!tokens_.is_op(")")) {
    if (!all.empty()) tokens_.expect_op(",");
    if (tokens_.is_op(")")) break;
    Argument argument;
    if (tokens_.take_op("*")) {
      argument.kind = Argument::Kind::unpacked_list;
    } else if (tokens_.take_op("**")) {
      argument.kind = Argument::Kind::unpacked_dict;
    } else if (tokens_.is(Token::Kind::name) && tokens_.ahead().kind == Token::Kind::op &&
               tokens_.ahead().text == "=") {
      argument.kind = Argument::Kind::named;
      argument.name = tokens_.next().text;
      tokens_.next();
    } else if (!all.empty() && all.back().kind == Argument::Kind::named) {
      tokens_.fail("a positional argument behind one with a name");
    }
    argument.value = expression();
    all.push_back(std::move(argument));
  }
  tokens_.expect_op(")");
  return all;
}

ExpressionPtr ExpressionParser::postfix_filters(ExpressionPtr operand) {
  while (true) {
    if (tokens_.is_op("|")) {
      operand = filters(std::move(operand), false);
    } else if (tokens_.is_name("is")) {
      operand = test(std::move(operand));
    } else if (tokens_.is_op("(")) {
      auto made = make(Kind::call, tokens_.current().at);
      adopt(*made, std::move(operand));
      adopt_arguments(*made, arguments());
      operand = std::move(made);
    } else {
      return operand;
    }
  }
}

ExpressionPtr ExpressionParser::filters(ExpressionPtr operand, bool begins_with_name) {
  while (begins_with_name || tokens_.take_op("|")) {
    begins_with_name = false;
    const Token name = tokens_.expect(Token::Kind::name, "the name of a filter");
    auto made = make(Kind::filter, name.at, name.text);
    while (tokens_.take_op(".")) made->text += "." + tokens_.expect(Token::Kind::name, "a name").text;
    if (!lenient && !known_.is_filter(made->text))
      throw SyntaxError("No filter named '" + made->text + "'.", name.at);
    adopt(*made, std::move(operand));
    if (tokens_.is_op("(")) adopt_arguments(*made, arguments());
    operand = std::move(made);
  }
  return operand;
}

ExpressionPtr ExpressionParser::test(ExpressionPtr operand) {
  const Position at = tokens_.next().at;
  const bool negated = tokens_.take_name("not");
  const Token name = tokens_.expect(Token::Kind::name, "the name of a test");
  auto made = make(Kind::test, name.at, name.text);
  while (tokens_.take_op(".")) made->text += "." + tokens_.expect(Token::Kind::name, "a name").text;
  if (!lenient && !known_.is_test(made->text))
    throw SyntaxError("No test named '" + made->text + "'.", name.at);
  adopt(*made, std::move(operand));
  using TokenKind = Token::Kind;
  const bool operand_follows = tokens_.is(TokenKind::name) || tokens_.is(TokenKind::string) ||
                               tokens_.is(TokenKind::integer) || tokens_.is(TokenKind::floating) ||
                               tokens_.is_op("[") || tokens_.is_op("{");
  const bool goes_on = tokens_.is_name("else") || tokens_.is_name("or") || tokens_.is_name("and");
  if (tokens_.is_op("(")) {
    adopt_arguments(*made, arguments());
  } else if (operand_follows && !goes_on) {
    if (tokens_.is_name("is")) tokens_.fail("You cannot chain multiple tests with is");
    Argument argument;
    argument.value = postfix(primary());
    std::vector<Argument> one;
    one.push_back(std::move(argument));
    adopt_arguments(*made, std::move(one));
  }
  if (!negated) return made;
  auto inverted = make(Kind::logical_not, at);
  adopt(*inverted, std::move(made));
  return inverted;
}

std::string ExpressionParser::target_name() {
  const Token name = tokens_.expect(Token::Kind::name, "a name");
  for (const char* constant : {"true", "false", "none", "True", "False", "None"}) {
    if (name.text == constant) throw SyntaxError("can't assign to '" + name.text + "'", name.at);
  }
  return name.text;
}

Target ExpressionParser::target(std::string_view end, bool attributes) {
  const DepthGuard guard(*this);
  const auto one = [&] {
    if (tokens_.take_op("(")) {
      Target inner = target(end, attributes);
      tokens_.expect_op(")");
      return inner;
    }
    Target made;
    made.name = target_name();
    if (attributes && tokens_.take_op(".")) made.attribute = tokens_.expect(Token::Kind::name, "a name").text;
    return made;
  };
  Target first = one();
  if (!tokens_.is_op(",")) return first;
  Target made;
  made.is_tuple = true;
  made.parts.push_back(std::move(first));
  while (tokens_.take_op(",")) {
    if (at_tuple_end(end) || tokens_.is_op("=")) break;
    made.parts.push_back(one());
  }
  return made;
}

}  // namespace mmbatch::jinja
