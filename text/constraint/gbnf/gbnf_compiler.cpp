#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "text/constraint/constraint_error.h"
#include "text/constraint/gbnf/gbnf.h"
#include "text/constraint/regex/syntax_tree.h"

namespace mmbatch {
namespace {

using Kind = GbnfExpression::Kind;

constexpr std::uint32_t kMaxDepth = 256;        // of parts within each other, in an answer
constexpr std::size_t kMaxTreeNodes = 100'000;  // of rules that are put into each other

[[noreturn]] void fail(const std::string& reason) {
  throw ConstraintError(ConstraintProblem{"", "grammar", reason});
}

/// What rules say about each other.
class Rules {
 public:
  explicit Rules(const std::vector<GbnfRule>& rules) : rules_(rules), nullable_(rules.size()) {
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t r = 0; r < rules.size(); ++r) {
        if (nullable_[r] || !nullable(rules[r].expression)) continue;
        nullable_[r] = changed = true;
      }
    }
    for (const GbnfRule& rule : rules) check_loops(rule.expression, rule.name);
    find_recursion();
  }

  bool nullable(const GbnfExpression& e) const {
    const auto of = [&](const GbnfExpression& child) { return nullable(child); };
    switch (e.kind) {
      case Kind::characters:
        return false;
      case Kind::rule:
        return nullable_[e.rule];
      case Kind::sequence:
        return std::all_of(e.children.begin(), e.children.end(), of);
      case Kind::alternatives:
        return std::any_of(e.children.begin(), e.children.end(), of);
      case Kind::repeat:
        return e.min == 0 || nullable(e.children.front());
    }
    return false;
  }

  /// Whether an expression leads to a rule that contains itself.
  bool recursive(const GbnfExpression& e) const {
    if (e.kind == Kind::rule) return recursive_[e.rule];
    return std::any_of(e.children.begin(), e.children.end(),
                       [&](const GbnfExpression& child) { return recursive(child); });
  }

 private:
  void check_loops(const GbnfExpression& e, const std::string& rule) const {
    if (e.kind == Kind::repeat && e.max != 1 && nullable(e.children.front()))
      fail(fmt::format("rule '{}': a repetition of what may be empty is not supported", rule));
    for (const GbnfExpression& child : e.children) check_loops(child, rule);
  }

  enum class Edges { all, first };

  /// The rules that an expression names, or begins with.
  void named(const GbnfExpression& e, Edges edges, std::vector<std::size_t>& out) const {
    if (e.kind == Kind::rule) out.push_back(e.rule);
    for (const GbnfExpression& child : e.children) {
      named(child, edges, out);
      if (edges == Edges::first && e.kind == Kind::sequence && !nullable(child)) return;
    }
  }

  std::vector<bool> reached_from(std::size_t rule, const std::vector<std::vector<std::size_t>>& edges) const {
    std::vector<bool> reached(rules_.size());
    std::vector<std::size_t> open = edges[rule];
    while (!open.empty()) {
      const std::size_t r = open.back();
      open.pop_back();
      if (reached[r]) continue;
      reached[r] = true;
      open.insert(open.end(), edges[r].begin(), edges[r].end());
    }
    return reached;
  }

  void find_recursion() {
    std::vector<std::vector<std::size_t>> all(rules_.size()), first(rules_.size());
    for (std::size_t r = 0; r < rules_.size(); ++r) {
      named(rules_[r].expression, Edges::all, all[r]);
      named(rules_[r].expression, Edges::first, first[r]);
    }
    std::vector<bool> in_circle(rules_.size());
    for (std::size_t r = 0; r < rules_.size(); ++r) {
      in_circle[r] = reached_from(r, all)[r];
      if (in_circle[r] && reached_from(r, first)[r])
        fail(fmt::format("rule '{}': left recursion is not supported; write a repetition", rules_[r].name));
    }
    recursive_ = in_circle;
    for (std::size_t r = 0; r < rules_.size(); ++r) {
      const std::vector<bool> reached = reached_from(r, all);
      for (std::size_t s = 0; s < rules_.size(); ++s)
        recursive_[r] = recursive_[r] || (reached[s] && in_circle[s]);
    }
  }

  const std::vector<GbnfRule>& rules_;
  std::vector<bool> nullable_, recursive_;
};

class Compiler {
 public:
  Compiler(const std::vector<GbnfRule>& rules, Work& work) : rules_(rules), facts_(rules), work_(work) {
    grammar_->max_depth = kMaxDepth;
    for (std::size_t r = 0; r < rules.size(); ++r) of_rule_.push_back(grammar_->add_any_of({}));
  }

  std::shared_ptr<const Grammar> compile(std::size_t root) {
    for (std::size_t r = 0; r < rules_.size(); ++r) {
      const NodeId node = of(rules_[r].expression);
      grammar_->any_of[grammar_->nodes[of_rule_[r]].index].push_back(node);
    }
    grammar_->root = of_rule_[root];
    grammar_->finish();
    if (grammar_->nodes[grammar_->root].depth > kMaxDepth) fail("no text fits the rule 'root'");
    return grammar_;
  }

 private:
  NodeId of(const GbnfExpression& e) {
    work_.spend(10);
    if (e.kind == Kind::sequence && e.children.size() == 1) return of(e.children.front());
    // What contains no rule that contains itself is one automaton, unless that has too many states.
    if (!facts_.recursive(e) && e.kind != Kind::rule) {
      std::size_t nodes = 0;
      try {
        return grammar_->add_bytes(compile_tree(tree_of(e, nodes), RegexMatch::whole, work_));
      } catch (const ConstraintTooLarge&) {
        if (e.kind == Kind::characters) throw;
      }
    }
    switch (e.kind) {
      case Kind::rule:
        return of_rule_[e.rule];
      case Kind::alternatives: {
        std::vector<NodeId> children;
        for (const GbnfExpression& child : e.children) children.push_back(of(child));
        return grammar_->add_any_of(std::move(children));
      }
      case Kind::repeat: {
        RepeatNode repeat{.child = of(e.children.front()), .min = static_cast<std::uint32_t>(e.min)};
        if (e.max != GbnfExpression::kNoLimit) repeat.max = static_cast<std::uint32_t>(e.max);
        grammar_->repeats.push_back(repeat);
        return grammar_->add(GrammarNode::Kind::repeat, grammar_->repeats.size() - 1);
      }
      default: {
        std::vector<NodeId> children;
        for (const GbnfExpression& child : e.children) children.push_back(of(child));
        grammar_->sequences.push_back(std::move(children));
        return grammar_->add(GrammarNode::Kind::sequence, grammar_->sequences.size() - 1);
      }
    }
  }

  RegexTree tree_of(const GbnfExpression& e, std::size_t& nodes) const {
    if (++nodes > kMaxTreeNodes) throw ConstraintTooLarge("its rules are too many when put into each other");
    if (e.kind == Kind::rule) return tree_of(rules_[e.rule].expression, nodes);
    RegexTree out;
    out.kind = e.kind == Kind::characters     ? RegexTree::Kind::characters
               : e.kind == Kind::alternatives ? RegexTree::Kind::alternatives
               : e.kind == Kind::repeat       ? RegexTree::Kind::repeat
                                              : RegexTree::Kind::sequence;
    out.characters = e.characters;
    out.min = e.min;
    out.max = e.max;
    for (const GbnfExpression& child : e.children) out.children.push_back(tree_of(child, nodes));
    return out;
  }

  const std::vector<GbnfRule>& rules_;
  Rules facts_;
  Work& work_;
  std::shared_ptr<Grammar> grammar_ = std::make_shared<Grammar>();
  std::vector<NodeId> of_rule_;
};

}  // namespace

std::shared_ptr<const Grammar> compile_gbnf(std::string_view text, Work& work) {
  const std::vector<GbnfRule> rules = parse_gbnf(text);
  const auto root =
      std::find_if(rules.begin(), rules.end(), [](const GbnfRule& rule) { return rule.name == "root"; });
  if (root == rules.end()) fail("there is no rule 'root' to begin with");
  constexpr std::size_t kMaxRules = 2000;
  if (rules.size() > kMaxRules) fail(fmt::format("more than {} rules", kMaxRules));
  return Compiler(rules, work).compile(static_cast<std::size_t>(root - rules.begin()));
}

}  // namespace mmbatch
