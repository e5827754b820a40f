#include "text/template/jinja/run/interpreter.h"

#include <algorithm>

#include "text/template/jinja/run/attributes.h"
#include "text/template/jinja/run/loop.h"
#include "text/template/jinja/value/operators.h"
#include "text/template/jinja/value/print.h"

namespace mmbatch::jinja {
namespace {

constexpr std::size_t kStepWork = 32, kNamespaceWork = 256, kScopeWork = 512;

/// A macro, or the body of a call block: what it sees is what was around it.
class Macro : public Object {
 public:
  Macro(Interpreter& interpreter, std::shared_ptr<const MacroCode> code, ScopePtr around)
      : interpreter_(interpreter), code_(std::move(code)), around_(std::move(around)) {}

  std::string type_name() const override { return "Macro"; }
  std::string print(int) const override { return "<Macro '" + code_->name + "'>"; }
  bool callable() const override { return true; }
  Value call(const Arguments& arguments) override {
    return interpreter_.call_macro(*code_, around_, arguments);
  }

  std::optional<Value> attribute(std::string_view name) override {
    if (name == "name") return Value(code_->name);
    if (name != "arguments") return std::nullopt;
    List names;
    for (const Parameter& parameter : code_->parameters) names.emplace_back(parameter.name);
    return Value::tuple(std::move(names));
  }

 private:
  Interpreter& interpreter_;
  std::shared_ptr<const MacroCode> code_;
  ScopePtr around_;
};

}  // namespace

Value LoopVariable::changed(const Arguments& arguments) {
  const Value now = Value::tuple(arguments.positional);
  if (last_ && equal(*last_, now)) return Value(false);
  if (!over) last_ = now;
  return Value(true);
}

struct Interpreter::DepthGuard {
  explicit DepthGuard(Interpreter& interpreter) : depth(interpreter.depth_) {
    if (++depth > kMaxDepth) throw RenderError("maximum recursion depth exceeded", RenderError::Kind::limit);
    charge(kStepWork);
  }
  ~DepthGuard() { --depth; }
  int& depth;
};

Interpreter::~Interpreter() {
  for (const ScopePtr& scope : held_) scope->variables.clear();
  for (const auto& made : namespaces_) made->clear();
  top_->variables.clear();
}

std::shared_ptr<Namespace> Interpreter::make_namespace() {
  charge(kNamespaceWork);
  return namespaces_.emplace_back(std::make_shared<Namespace>());
}

std::string Interpreter::render(const Body& body) {
  std::string out;
  out_ = &out;
  run(body, top_);
  return out;
}

ScopePtr Interpreter::inner(const ScopePtr& scope) {
  auto made = std::make_shared<Scope>();
  made->around = scope;
  return made;
}

void Interpreter::write_text(std::string_view text) {
  check_size(out_->size() + text.size(), kMaxOutputBytes);
  charge(text.size());
  *out_ += text;
}

void Interpreter::write(const Value& value) {
  if (const std::string* text = value.string(); text != nullptr && (!escapes_ || value.is_safe())) {
    write_text(*text);
    return;
  }
  const std::string text = print(value);
  write_text(escapes_ && !value.is_safe() ? escape_html(text) : text);
}

Interpreter::Flow Interpreter::run(const Body& body, const ScopePtr& scope) {
  for (const StatementPtr& statement : body) {
    const Flow flow = run(*statement, scope);
    if (flow != Flow::normal) return flow;
  }
  return Flow::normal;
}

std::string Interpreter::captured(const Body& body, const ScopePtr& scope) {
  std::string text;
  std::string* const before = std::exchange(out_, &text);
  try {
    run(body, scope);
  } catch (...) {
    out_ = before;
    throw;
  }
  out_ = before;
  return text;
}

Interpreter::Flow Interpreter::run(const Statement& statement, const ScopePtr& scope) {
  using Kind = Statement::Kind;
  const DepthGuard guard(*this);
  switch (statement.kind) {
    case Kind::data:
      write_text(statement.text);
      return Flow::normal;
    case Kind::output:
      write(evaluate(*statement.expression, scope));
      return Flow::normal;
    case Kind::condition:
      return run(truth(evaluate(*statement.expression, scope)) ? statement.body : statement.otherwise, scope);
    case Kind::loop:
      return run_loop(statement, scope, evaluate(*statement.expression, scope), 0);
    case Kind::set:
      assign(statement.target, evaluate(*statement.expression, scope), scope);
      return Flow::normal;
    case Kind::set_block: {
      Value text = Value::text(captured(statement.body, inner(scope)), escapes_);
      if (statement.filter) text = apply_filter(*statement.filter, scope, &text);
      assign(statement.target, text, scope);
      return Flow::normal;
    }
    case Kind::macro:
      scope->variables[statement.code->name] = make_macro(statement.code, scope);
      return Flow::normal;
    case Kind::call:
      call_block(statement, scope);
      return Flow::normal;
    case Kind::filter: {
      const Value text = Value::text(captured(statement.body, inner(scope)), escapes_);
      write(apply_filter(*statement.filter, scope, &text));
      return Flow::normal;
    }
    case Kind::with: {
      const ScopePtr own = inner(scope);
      for (std::size_t i = 0; i < statement.targets.size(); ++i) {
        assign(statement.targets[i], evaluate(*statement.values[i], scope), own);
      }
      return run(statement.body, own);
    }
    case Kind::scope:
      return run(statement.body, inner(scope));
    case Kind::block:
      return run(statement.body, inner(top_));
    case Kind::autoescape: {
      const bool before = std::exchange(escapes_, truth(evaluate(*statement.expression, scope)));
      const Flow flow = run(statement.body, inner(scope));
      escapes_ = before;
      return flow;
    }
    case Kind::loop_break:
      return Flow::loop_break;
    case Kind::loop_continue:
      return Flow::loop_continue;
    case Kind::unsupported:
      break;
  }
  throw RenderError(statement.text);
}

Interpreter::Flow Interpreter::run_loop(const Statement& statement, const ScopePtr& scope, const Value& over,
                                        int depth) {
  List items = iterate(over);
  if (statement.filter) {
    List kept;
    for (const Value& item : items) {
      const ScopePtr own = inner(scope);
      assign(statement.target, item, own);
      if (truth(evaluate(*statement.filter, own))) kept.push_back(item);
    }
    items = std::move(kept);
  }
  const auto loop = std::make_shared<LoopVariable>(std::move(items), depth);
  struct End {  // nothing may call the loop once it is over
    LoopVariable& loop;
    ~End() { loop.end(); }
  } const end{*loop};
  if (statement.recursive) {
    loop->again = [this, &statement, scope, depth](const Value& other) {
      const DepthGuard guard(*this);
      std::string text;
      std::string* const before = std::exchange(out_, &text);
      try {
        run_loop(statement, scope, other, depth + 1);
      } catch (...) {
        out_ = before;
        throw;
      }
      out_ = before;
      return Value::text(std::move(text), escapes_);
    };
  }
  const Value variable(std::static_pointer_cast<Object>(loop));
  const List& all = loop->items();
  for (std::size_t i = 0; i < all.size(); ++i) {
    charge(kStepWork);
    loop->index = i;
    const ScopePtr own = inner(scope);
    own->variables["loop"] = variable;
    assign(statement.target, all[i], own);
    const Flow flow = run(statement.body, own);
    if (flow == Flow::loop_break) break;
  }
  if (all.empty()) return run(statement.otherwise, inner(scope));
  return Flow::normal;
}

void Interpreter::assign(const Target& target, const Value& value, const ScopePtr& scope) {
  if (target.is_tuple) {
    if (value.is_undefined() || (value.items() == nullptr && value.string() == nullptr &&
                                 value.dict() == nullptr && !value.is<std::shared_ptr<Object>>())) {
      throw RenderError("cannot unpack non-iterable " + type_name(value) + " object");
    }
    const List items = iterate(value);
    const std::string wanted = std::to_string(target.parts.size());
    if (items.size() > target.parts.size())
      throw RenderError("too many values to unpack (expected " + wanted + ")");
    if (items.size() < target.parts.size()) {
      throw RenderError("not enough values to unpack (expected " + wanted + ", got " +
                        std::to_string(items.size()) + ")");
    }
    for (std::size_t i = 0; i < items.size(); ++i) assign(target.parts[i], items[i], scope);
    return;
  }
  if (target.attribute.empty()) {
    scope->variables[target.name] = value;
    return;
  }
  const Value* holder = scope->find(target.name);
  const auto space = holder == nullptr ? nullptr : holder->object<Namespace>();
  if (!space) throw RenderError("cannot assign attribute on non-namespace object");
  if (target.attribute.starts_with('_')) {
    throw RenderError("Chat templates cannot store underscore-prefixed attributes on a namespace, but got '" +
                      target.attribute + "'. Please rename the attribute.");
  }
  space->set(target.attribute, value);
}

Value Interpreter::make_macro(const std::shared_ptr<const MacroCode>& code, const ScopePtr& scope) {
  if (held_.empty() || held_.back() != scope) {
    charge(kScopeWork);
    held_.push_back(scope);
  }
  return Value(std::static_pointer_cast<Object>(std::make_shared<Macro>(*this, code, scope)));
}

void Interpreter::call_block(const Statement& statement, const ScopePtr& scope) {
  const Value caller = make_macro(statement.code, scope);
  write(call(*statement.expression, scope, &caller));
}

Value Interpreter::call_macro(const MacroCode& code, const ScopePtr& around, const Arguments& arguments) {
  const DepthGuard guard(*this);
  const ScopePtr own = inner(around);
  const std::size_t count = code.parameters.size();
  List extra;
  if (arguments.positional.size() > count) {
    extra.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(count),
                 arguments.positional.end());
  }
  charge(arguments.named.size() * count);
  Dict named;
  std::optional<Value> caller;
  for (const auto& [name, value] : arguments.named) {
    const auto parameter = std::find_if(code.parameters.begin(), code.parameters.end(),
                                        [&, &wanted = name](const Parameter& p) { return p.name == wanted; });
    const auto place = static_cast<std::size_t>(parameter - code.parameters.begin());
    if (parameter == code.parameters.end()) {
      if (name == "caller") {
        caller = value;
      } else {
        named.set(Value(name), value);
      }
    } else if (place < arguments.positional.size()) {
      throw RenderError("macro '" + code.name + "' got multiple values for argument '" + name + "'");
    }
  }
  if (!extra.empty() && !code.uses_varargs) {
    throw RenderError("macro '" + code.name + "' takes not more than " + std::to_string(count) +
                      " argument(s)");
  }
  if (named.size() > 0 && !code.uses_kwargs) {
    throw RenderError("macro '" + code.name + "' takes no keyword argument " +
                      repr(named.entries()[0].first));
  }
  if (code.uses_varargs) own->variables["varargs"] = Value::tuple(std::move(extra));
  if (code.uses_kwargs) own->variables["kwargs"] = Value::dict(std::move(named));
  own->variables["caller"] = caller ? *caller : Value::undefined("No caller defined");
  for (std::size_t i = 0; i < count; ++i) {
    const Parameter& parameter = code.parameters[i];
    const Value* given = arguments.find(i, parameter.name);
    Value value = given != nullptr ? *given
                  : parameter.otherwise
                      ? evaluate(*parameter.otherwise, own)
                      : Value::undefined("parameter '" + parameter.name + "' was not provided");
    own->variables[parameter.name] = std::move(value);
  }
  return Value::text(captured(code.body, own), escapes_);
}

Value Interpreter::evaluate(const Expression& expression, const ScopePtr& scope) {
  const DepthGuard guard(*this);
  using Kind = Expression::Kind;
  const auto part = [&](std::size_t i) { return evaluate(*expression.parts[i], scope); };
  switch (expression.kind) {
    case Kind::constant:
      return expression.value;
    case Kind::name: {
      const Value* found = scope->find(expression.text);
      return found != nullptr ? *found : Value::undefined("'" + expression.text + "' is undefined");
    }
    case Kind::conditional:
      if (truth(part(0))) return part(1);
      if (expression.parts[2]) return part(2);
      return Value::undefined("the inline if-expression evaluated to false and no else section was defined.");
    case Kind::logical_and: {
      const Value left = part(0);
      return truth(left) ? part(1) : left;
    }
    case Kind::logical_or: {
      const Value left = part(0);
      return truth(left) ? left : part(1);
    }
    case Kind::comparison:
      return compare(expression, scope);
    case Kind::call:
      return call(expression, scope);
    case Kind::filter:
      return apply_filter(expression, scope, nullptr);
    case Kind::test:
      return Value(apply_test(expression, scope));
    case Kind::slice:
      return slice_of(expression, scope);
    case Kind::concat:
      return concat(expression, scope);
    case Kind::dict:
      return dict_of(expression, scope);
    default:
      return evaluate_parts(expression, scope);
  }
}

Value Interpreter::evaluate_parts(const Expression& expression, const ScopePtr& scope) {
  using Kind = Expression::Kind;
  List parts;
  for (const ExpressionPtr& part : expression.parts) parts.push_back(evaluate(*part, scope));
  switch (expression.kind) {
    case Kind::list:
      return Value::list(std::move(parts));
    case Kind::tuple:
      return Value::tuple(std::move(parts));
    case Kind::attribute:
      return attribute(parts[0], expression.text);
    case Kind::element:
      return element(parts[0], parts[1]);
    case Kind::logical_not:
      return Value(!truth(parts[0]));
    case Kind::negative:
      return negate(parts[0]);
    case Kind::positive:
      return positive(parts[0]);
    default:
      return arithmetic(expression.text, parts[0], parts[1]);
  }
}

/// `a < b < c`: each part is evaluated once, and no part behind a comparison that fails.
Value Interpreter::compare(const Expression& expression, const ScopePtr& scope) {
  Value left = evaluate(*expression.parts[0], scope);
  bool holds = true;
  for (std::size_t i = 0; i < expression.names.size() && holds; ++i) {
    const std::string& op = expression.names[i];
    Value right = evaluate(*expression.parts[i + 1], scope);
    if (op == "==") {
      holds = equal(left, right);
    } else if (op == "!=") {
      holds = !equal(left, right);
    } else if (op == "in") {
      holds = contains(right, left);
    } else if (op == "not in") {
      holds = !contains(right, left);
    } else {
      holds = ordered(op, left, right);
    }
    left = std::move(right);
  }
  return Value(holds);
}

Value Interpreter::concat(const Expression& expression, const ScopePtr& scope) {
  std::string text;
  bool safe = false;
  for (const ExpressionPtr& part : expression.parts) {
    const Value value = evaluate(*part, scope);
    safe = safe || (escapes_ && value.is_safe());
    text += print(value);
    check_size(text.size(), kMaxTextBytes);
  }
  return Value::text(std::move(text), safe);
}

Value Interpreter::dict_of(const Expression& expression, const ScopePtr& scope) {
  Dict dict;
  for (std::size_t i = 0; i + 1 < expression.parts.size(); i += 2) {
    const Value key = evaluate(*expression.parts[i], scope);
    dict.set(key, evaluate(*expression.parts[i + 1], scope));
  }
  return Value::dict(std::move(dict));
}

Value Interpreter::slice_of(const Expression& expression, const ScopePtr& scope) {
  const auto part = [&](std::size_t i) {
    return expression.parts[i] ? evaluate(*expression.parts[i], scope) : Value();
  };
  const Value value = part(0), start = part(1), stop = part(2), step = part(3);
  return slice(value, start, stop, step);
}

Arguments Interpreter::arguments_of(const std::vector<Argument>& arguments, const ScopePtr& scope) {
  Arguments all;
  for (const Argument& argument : arguments) {
    Value value = evaluate(*argument.value, scope);
    if (argument.kind == Argument::Kind::positional) {
      all.positional.push_back(std::move(value));
    } else if (argument.kind == Argument::Kind::named) {
      all.named.emplace_back(argument.name, std::move(value));
    } else if (argument.kind == Argument::Kind::unpacked_list) {
      for (Value& item : iterate(value)) all.positional.push_back(item);
    } else {
      if (value.dict() == nullptr)
        throw RenderError("argument after ** must be a mapping, not " + type_name(value));
      for (const auto& [key, item] : value.dict()->entries()) {
        if (key.string() == nullptr) throw RenderError("keywords must be strings");
        all.named.emplace_back(*key.string(), item);
      }
    }
  }
  return all;
}

Value Interpreter::call(const Expression& expression, const ScopePtr& scope, const Value* caller) {
  const Value callee = evaluate(*expression.parts[0], scope);
  Arguments arguments = arguments_of(expression.arguments, scope);
  if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
  if (callee.is_undefined()) fail_undefined(callee);
  const auto* object = callee.get<std::shared_ptr<Object>>();
  if (object == nullptr || !(*object)->callable()) {
    throw RenderError("'" + type_name(callee) + "' object is not callable");
  }
  return (*object)->call(arguments);
}

}  // namespace mmbatch::jinja
