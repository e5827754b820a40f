// How the interpreter applies filters and tests.

#include "text/template/jinja/run/filters.h"
#include "text/template/jinja/run/interpreter.h"

namespace mmbatch::jinja {

Value Interpreter::apply_filter(const Expression& expression, const ScopePtr& scope, const Value* block) {
  const Filter filter = find_filter(expression.text);
  if (filter == nullptr) throw RenderError("No filter named '" + expression.text + "' found.");
  const Value value = expression.parts[0] == nullptr ? *block
                      : block != nullptr             ? apply_filter(*expression.parts[0], scope, block)
                                                     : evaluate(*expression.parts[0], scope);
  const bool passes_on = expression.text == "default" || expression.text == "d";
  if (!passes_on) charge_looking(value);
  return filter(value, arguments_of(expression.arguments, scope));
}

bool Interpreter::apply_test(const Expression& expression, const ScopePtr& scope) {
  const Test test = find_test(expression.text);
  if (test == nullptr) throw RenderError("No test named '" + expression.text + "' found.");
  const Value value = evaluate(*expression.parts[0], scope);
  return test(value, arguments_of(expression.arguments, scope));
}

}  // namespace mmbatch::jinja
