#include "text/template/jinja/syntax/parser.h"

#include <algorithm>
#include <initializer_list>

namespace mmbatch::jinja {
namespace {

using Condition = ExpressionParser::Condition;

constexpr std::size_t kMaxSourceBytes = 1u << 20;

class Parser {
 public:
  Parser(std::string_view source, const KnownNames& known)
      : tokens_(tokenize_template(source)), expressions_(tokens_, known) {}

  Body run() {
    Body body = statements({});
    if (!tokens_.is(Token::Kind::end))
      tokens_.fail("unexpected " + TokenStreamReader::describe(tokens_.current()));
    return body;
  }

 private:
  using Ends = std::initializer_list<std::string_view>;

  static std::unique_ptr<Statement> make(Statement::Kind kind, Position at) {
    auto made = std::make_unique<Statement>();
    made->kind = kind;
    made->at = at;
    return made;
  }

  /// Up to a statement that begins with one of `ends`; its name is the next token.
  Body statements(Ends ends) {
    if (++depth_ > kMaxNesting) tokens_.fail("statements nested too deeply");
    Body body;
    while (!tokens_.is(Token::Kind::end)) {
      const Token token = tokens_.current();
      if (token.kind == Token::Kind::data) {
        auto made = make(Statement::Kind::data, token.at);
        made->text = tokens_.next().text;
        body.push_back(std::move(made));
      } else if (token.kind == Token::Kind::variable_begin) {
        tokens_.next();
        auto made = make(Statement::Kind::output, token.at);
        made->expression = expressions_.tuple(Condition::allowed);
        tokens_.expect(Token::Kind::variable_end, "the end of the print statement");
        body.push_back(std::move(made));
      } else {
        tokens_.expect(Token::Kind::block_begin, "a statement");
        if (std::any_of(ends.begin(), ends.end(),
                        [&](std::string_view end) { return tokens_.is_name(end); })) {
          --depth_;
          return body;
        }
        body.push_back(statement());
      }
    }
    if (ends.size() > 0) {
      std::string wanted;
      for (const std::string_view end : ends)
        wanted += (wanted.empty() ? "'" : " or '") + std::string(end) + "'";
      tokens_.fail("Unexpected end of template. Jinja was looking for the following tags: " + wanted);
    }
    --depth_;
    return body;
  }

  void block_end() { tokens_.expect(Token::Kind::block_end, "the end of the statement"); }

  /// A body and the tag that ends it.
  Body body_until(std::string_view end) {
    block_end();
    Body body = statements({end});
    tokens_.next();
    block_end();
    return body;
  }

  /// What is inside of an `if` may name filters that do not exist; a body of its own inside of that may not.
  template <typename Parse>
  auto with_leniency(bool lenient, Parse&& parse) {
    const bool before = expressions_.lenient;
    expressions_.lenient = lenient;
    auto made = parse();
    expressions_.lenient = before;
    return made;
  }

  StatementPtr statement() {
    const Token tag = tokens_.expect(Token::Kind::name, "the name of a statement");
    const std::string& name = tag.text;
    if (name == "if") return condition(tag.at);
    if (name == "for") return loop(tag.at);
    if (name == "set") return set(tag.at);
    if (name == "macro") return macro(tag.at);
    if (name == "call") return call(tag.at);
    if (name == "filter") return filter(tag.at);
    if (name == "with") return with(tag.at);
    if (name == "generation") return scope(tag.at);
    if (name == "block") return block(tag.at);
    if (name == "autoescape") return autoescape(tag.at);
    if (name == "print") return print(tag.at);
    if (name == "break" || name == "continue") return jump(tag);
    if (name == "include" || name == "import" || name == "from" || name == "extends") return other_file(tag);
    throw SyntaxError("Encountered unknown tag '" + name + "'.", tag.at);
  }

  StatementPtr condition(Position at) {
    if (++depth_ > kMaxNesting) tokens_.fail("statements nested too deeply, or too many elif");
    auto made = make(Statement::Kind::condition, at);
    const bool before = expressions_.lenient;
    expressions_.lenient = true;
    made->expression = expressions_.tuple(Condition::not_allowed);
    block_end();
    made->body = statements({"elif", "else", "endif"});
    const Token end = tokens_.next();
    if (end.text == "elif") {
      made->otherwise.push_back(condition(end.at));
    } else {
      if (end.text == "else") {
        block_end();
        made->otherwise = statements({"endif"});
        tokens_.next();
      }
      block_end();
    }
    expressions_.lenient = before;
    --depth_;
    return made;
  }

  StatementPtr loop(Position at) {
    auto made = make(Statement::Kind::loop, at);
    made->target = expressions_.target("in");
    tokens_.expect_name("in");
    made->expression = expressions_.tuple(Condition::not_allowed, "recursive");
    if (tokens_.take_name("if")) made->filter = expressions_.expression();
    made->recursive = tokens_.take_name("recursive");
    block_end();
    ++loops_;
    made->body = with_leniency(false, [&] { return statements({"endfor", "else"}); });
    --loops_;
    if (tokens_.next().text == "else") {
      block_end();
      made->otherwise = with_leniency(false, [&] { return statements({"endfor"}); });
      tokens_.next();
    }
    block_end();
    return made;
  }

  StatementPtr set(Position at) {
    auto made = make(Statement::Kind::set, at);
    made->target = expressions_.target({}, true);
    if (tokens_.take_op("=")) {
      made->expression = expressions_.tuple(Condition::allowed);
      block_end();
      return made;
    }
    made->kind = Statement::Kind::set_block;
    if (tokens_.is_op("|")) made->filter = expressions_.filters(nullptr, false);
    made->body = with_leniency(false, [&] { return body_until("endset"); });
    return made;
  }

  std::vector<Parameter> parameters() {
    std::vector<Parameter> all;
    tokens_.expect_op("(");
    while (!tokens_.is_op(")")) {
      if (!all.empty()) tokens_.expect_op(",");
      Parameter parameter;
      parameter.name = expressions_.target_name();
      if (tokens_.take_op("=")) {
        parameter.otherwise = expressions_.expression();
      } else if (!all.empty() && all.back().otherwise) {
        tokens_.fail("non-default argument follows default argument");
      }
      all.push_back(std::move(parameter));
    }
    tokens_.expect_op(")");
    return all;
  }

  std::shared_ptr<const MacroCode> code(std::string name, std::vector<Parameter> parameters,
                                        std::string_view end) {
    auto made = std::make_shared<MacroCode>();
    made->name = std::move(name);
    made->parameters = std::move(parameters);
    const int loops = std::exchange(loops_, 0);
    const bool varargs = std::exchange(expressions_.saw_varargs, false);
    const bool kwargs = std::exchange(expressions_.saw_kwargs, false);
    made->body = with_leniency(false, [&] { return body_until(end); });
    made->uses_varargs = std::exchange(expressions_.saw_varargs, varargs);
    made->uses_kwargs = std::exchange(expressions_.saw_kwargs, kwargs);
    loops_ = loops;
    return made;
  }

  StatementPtr macro(Position at) {
    auto made = make(Statement::Kind::macro, at);
    const std::string name = expressions_.target_name();
    std::vector<Parameter> list = parameters();
    made->code = code(name, std::move(list), "endmacro");
    return made;
  }

  StatementPtr call(Position at) {
    auto made = make(Statement::Kind::call, at);
    std::vector<Parameter> list;
    if (tokens_.is_op("(")) list = parameters();
    made->expression = expressions_.expression();
    if (made->expression->kind != Expression::Kind::call) throw SyntaxError("expected call", at);
    made->code = code("caller", std::move(list), "endcall");
    return made;
  }

  StatementPtr filter(Position at) {
    auto made = make(Statement::Kind::filter, at);
    made->filter = expressions_.filters(nullptr, true);
    made->body = with_leniency(false, [&] { return body_until("endfilter"); });
    return made;
  }

  StatementPtr with(Position at) {
    auto made = make(Statement::Kind::with, at);
    while (!tokens_.is(Token::Kind::block_end)) {
      if (!made->targets.empty()) tokens_.expect_op(",");
      Target target;
      target.name = expressions_.target_name();
      made->targets.push_back(std::move(target));
      tokens_.expect_op("=");
      made->values.push_back(expressions_.expression());
    }
    made->body = with_leniency(false, [&] { return body_until("endwith"); });
    return made;
  }

  StatementPtr scope(Position at) {
    auto made = make(Statement::Kind::scope, at);
    const int loops = std::exchange(loops_, 0);
    made->body = with_leniency(false, [&] { return body_until("endgeneration"); });
    loops_ = loops;
    return made;
  }

  StatementPtr block(Position at) {
    auto made = make(Statement::Kind::block, at);
    const std::string name = tokens_.expect(Token::Kind::name, "the name of the block").text;
    while (tokens_.take_name("scoped") || tokens_.take_name("required")) {
    }
    block_end();
    const int loops = std::exchange(loops_, 0);
    made->body = with_leniency(false, [&] { return statements({"endblock"}); });
    loops_ = loops;
    tokens_.next();
    tokens_.take_name(name);
    block_end();
    return made;
  }

  StatementPtr autoescape(Position at) {
    auto made = make(Statement::Kind::autoescape, at);
    made->expression = expressions_.expression();
    made->body = with_leniency(false, [&] { return body_until("endautoescape"); });
    return made;
  }

  StatementPtr print(Position at) {
    auto made = make(Statement::Kind::output, at);
    made->expression = expressions_.tuple(Condition::allowed);
    block_end();
    return made;
  }

  StatementPtr jump(const Token& tag) {
    if (loops_ == 0) throw SyntaxError("'" + tag.text + "' outside loop", tag.at);
    auto made =
        make(tag.text == "break" ? Statement::Kind::loop_break : Statement::Kind::loop_continue, tag.at);
    block_end();
    return made;
  }

  /// There are no other files: an error once it is reached.
  StatementPtr other_file(const Token& tag) {
    auto made = make(Statement::Kind::unsupported, tag.at);
    made->text = "'" + tag.text + "' needs other files, and a chat template has none";
    while (!tokens_.is(Token::Kind::block_end) && !tokens_.is(Token::Kind::end)) tokens_.next();
    block_end();
    return made;
  }

  TokenStreamReader tokens_;
  ExpressionParser expressions_;
  int depth_ = 0;
  int loops_ = 0;
};

}  // namespace

Body parse_template(std::string_view source, const KnownNames& known) {
  if (source.size() > kMaxSourceBytes) throw SyntaxError("a template of more than 1 MiB", {});
  return Parser(source, known).run();
}

}  // namespace mmbatch::jinja
