#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/template/jinja/syntax/lexer.h"
#include "text/template/jinja/value/value.h"

namespace mmbatch::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

/// An argument of a call, filter or test.
struct Argument {
  enum class Kind { positional, named, unpacked_list, unpacked_dict };
  Kind kind = Kind::positional;
  std::string name;
  ExpressionPtr value;
};

struct Expression {
  enum class Kind {
    constant,     // value
    name,         // text
    list,         // parts
    tuple,        // parts
    dict,         // parts: key, value, key, value …
    attribute,    // parts[0].text
    element,      // parts[0][parts[1]]
    slice,        // parts[0][parts[1] : parts[2] : parts[3]], each nullptr where left out
    call,         // parts[0](arguments)
    filter,       // parts[0] | text(arguments); parts[0] is nullptr in a filter block
    test,         // parts[0] is text(arguments)
    conditional,  // parts[1] if parts[0] else parts[2], which may be nullptr
    logical_and,
    logical_or,
    logical_not,
    negative,
    positive,
    arithmetic,  // parts[0] text parts[1]
    concat,      // parts
    comparison,  // parts[0] names[0] parts[1] names[1] parts[2] …
  };
  Kind kind = Kind::constant;
  Position at;
  int depth = 1;  // of the tree below it
  std::string text;
  Value value;
  std::vector<ExpressionPtr> parts;
  std::vector<std::string> names;
  std::vector<Argument> arguments;
};

struct Statement;
using StatementPtr = std::unique_ptr<const Statement>;
using Body = std::vector<StatementPtr>;

/// What is assigned to: a name, an attribute of a namespace, or several targets.
struct Target {
  std::string name;
  std::string attribute;      // of a namespace; empty for the name itself
  std::vector<Target> parts;  // of a tuple
  bool is_tuple = false;
};

struct Parameter {
  std::string name;
  ExpressionPtr otherwise;  // nullptr where there is no default
};

/// What a macro, or the body of a call block, is made of.
struct MacroCode {
  std::string name;
  std::vector<Parameter> parameters;
  Body body;
  bool uses_varargs = false, uses_kwargs = false;
};

struct Statement {
  enum class Kind {
    data,        // text
    output,      // expression
    condition,   // if expression: body, else: otherwise
    loop,        // for target in expression if filter: body, else: otherwise
    set,         // target = expression
    set_block,   // target = body, through filter where there is one
    macro,       // code
    call,        // call expression, with code as caller
    filter,      // filter over body
    with,        // targets = values: body
    scope,       // body in a scope of its own: generation
    block,       // body that sees the top level only
    autoescape,  // expression: body
    loop_break,
    loop_continue,
    unsupported,  // text says why; an error only when it is reached
  };
  Kind kind = Kind::data;
  Position at;
  std::string text;
  ExpressionPtr expression;
  ExpressionPtr filter;
  Target target;
  std::vector<Target> targets;
  std::vector<ExpressionPtr> values;
  Body body, otherwise;
  std::shared_ptr<const MacroCode> code;
  bool recursive = false;
};

}  // namespace mmbatch::jinja
