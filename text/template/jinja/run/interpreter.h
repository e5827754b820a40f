#pragma once

#include <string>
#include <vector>

#include "text/template/jinja/run/scope.h"
#include "text/template/jinja/syntax/tree.h"

namespace mmbatch::jinja {

/// Renders one template once. What it may use is bounded: steps and text by the Budget, nesting by kMaxDepth.
class Interpreter {
 public:
  static constexpr std::size_t kMaxOutputBytes = 16u << 20;
  static constexpr int kMaxDepth =
      1200;  // statements and expressions inside of each other, through macros too

  Interpreter() : top_(std::make_shared<Scope>()) {}
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  void set(const std::string& name, Value value) { top_->variables[name] = std::move(value); }
  /// @throws RenderError
  std::string render(const Body& body);

  /// An empty one, which holds nothing any more when the rendering has ended.
  std::shared_ptr<Namespace> make_namespace();
  Value call_macro(const MacroCode& code, const ScopePtr& around, const Arguments& arguments);

 private:
  enum class Flow { normal, loop_break, loop_continue };
  struct DepthGuard;

  Flow run(const Body& body, const ScopePtr& scope);
  Flow run(const Statement& statement, const ScopePtr& scope);
  Flow run_loop(const Statement& statement, const ScopePtr& scope, const Value& over, int depth);
  /// What a body prints.
  std::string captured(const Body& body, const ScopePtr& scope);
  void assign(const Target& target, const Value& value, const ScopePtr& scope);
  void call_block(const Statement& statement, const ScopePtr& scope);
  Value make_macro(const std::shared_ptr<const MacroCode>& code, const ScopePtr& scope);
  void write(const Value& value);
  void write_text(std::string_view text);

  Value evaluate(const Expression& expression, const ScopePtr& scope);
  Value evaluate_parts(const Expression& expression, const ScopePtr& scope);
  Value compare(const Expression& expression, const ScopePtr& scope);
  Value call(const Expression& expression, const ScopePtr& scope, const Value* caller = nullptr);
  Value apply_filter(const Expression& expression, const ScopePtr& scope, const Value* block);
  bool apply_test(const Expression& expression, const ScopePtr& scope);
  Value slice_of(const Expression& expression, const ScopePtr& scope);
  Value concat(const Expression& expression, const ScopePtr& scope);
  Value dict_of(const Expression& expression, const ScopePtr& scope);
  Arguments arguments_of(const std::vector<Argument>& arguments, const ScopePtr& scope);

  ScopePtr inner(const ScopePtr& scope);

  ScopePtr top_;
  std::vector<ScopePtr> held_;  // by macros that they hold in turn: emptied at the end
  std::vector<std::shared_ptr<Namespace>> namespaces_;
  std::string* out_ = nullptr;
  bool escapes_ = false;
  int depth_ = 0;
};

}  // namespace mmbatch::jinja
