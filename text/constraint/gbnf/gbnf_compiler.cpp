#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

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
  Rules(const std::vector<GbnfRule>& rules, Work& work)
      : rules_(rules), work_(work), nullable_(rules.size()) {
    find_nullable();
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
  using Edges = std::vector<std::vector<std::size_t>>;  // of each rule, the rules that it names

  static std::size_t size(const GbnfExpression& e) {
    std::size_t parts = 1;
    for (const GbnfExpression& child : e.children) parts += size(child);
    return parts;
  }

  /// Rules may be empty because others are: looked at until no more are found.
  void find_nullable() {
    constexpr std::size_t kStepsOfPart = 4;
    std::vector<std::size_t> sizes;
    for (const GbnfRule& rule : rules_) sizes.push_back(size(rule.expression));
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t r = 0; r < rules_.size(); ++r) {
        if (nullable_[r]) continue;
        work_.spend(sizes[r] * kStepsOfPart);
        if (nullable(rules_[r].expression)) nullable_[r] = changed = true;
      }
    }
  }

  void check_loops(const GbnfExpression& e, const std::string& rule) const {
    if (e.kind == Kind::repeat && e.max != 1 && nullable(e.children.front()))
      fail(fmt::format("rule '{}': a repetition of what may be empty is not supported", rule));
    for (const GbnfExpression& child : e.children) check_loops(child, rule);
  }

  enum class Which { all, first };

  /// The rules that an expression names, or begins with.
  void named(const GbnfExpression& e, Which which, std::vector<std::size_t>& out) const {
    if (e.kind == Kind::rule) out.push_back(e.rule);
    for (const GbnfExpression& child : e.children) {
      named(child, which, out);
      if (which == Which::first && e.kind == Kind::sequence && !nullable(child)) return;
    }
  }

  std::vector<std::size_t> named_once(std::size_t rule, Which which) const {
    std::vector<std::size_t> out;
    named(rules_[rule].expression, which, out);
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }

  std::vector<bool> reached_from(std::vector<std::size_t> open, const Edges& edges) {
    std::vector<bool> reached(rules_.size());
    while (!open.empty()) {
      const std::size_t r = open.back();
      open.pop_back();
      if (reached[r]) continue;
      reached[r] = true;
      work_.spend(edges[r].size() + 1);
      open.insert(open.end(), edges[r].begin(), edges[r].end());
    }
    return reached;
  }

  void find_recursion() {
    Edges all, first, users(rules_.size());
    for (std::size_t r = 0; r < rules_.size(); ++r) {
      all.push_back(named_once(r, Which::all));
      first.push_back(named_once(r, Which::first));
      for (const std::size_t s : all[r]) users[s].push_back(r);
    }
    std::vector<std::size_t> in_circle;
    for (std::size_t r = 0; r < rules_.size(); ++r) {
      if (!reached_from(all[r], all)[r]) continue;
      in_circle.push_back(r);
      if (reached_from(first[r], first)[r])
        fail(fmt::format("rule '{}': left recursion is not supported; write a repetition", rules_[r].name));
    }
    recursive_ = reached_from(in_circle, users);
  }

  const std::vector<GbnfRule>& rules_;
  Work& work_;
  std::vector<bool> nullable_, recursive_;
};

class Compiler {
 public:
  Compiler(const std::vector<GbnfRule>& rules, Work& work) : rules_(rules), facts_(rules, work), work_(work) {
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
    if (grammar_->nodes[grammar_->root].depth > kMaxDepth) fail("no text can match the rule 'root'");
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
        return grammar_->add_bytes(compile_tree(tree_of(e, nodes, 0), RegexMatch::whole, work_));
      } catch (const ConstraintTooLarge&) {
        if (e.kind == Kind::characters) throw;
      }
    }
    switch (e.kind) {
      case Kind::rule:
        return of_rule_[e.rule];
      case Kind::alternatives: {
        std::vector<NodeId> children;
        std::set<NodeId> there;
        for (const GbnfExpression& child : e.children) {
          const NodeId node = of(child);
          if (there.insert(node).second) children.push_back(node);
        }
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

  /// @param depth of e in the whole tree, which others walk by recursion
  RegexTree tree_of(const GbnfExpression& e, std::size_t& nodes, std::size_t depth) const {
    constexpr std::size_t kMaxTreeDepth = 500;
    work_.spend(10);
    if (depth > kMaxTreeDepth) throw ConstraintTooLarge("its rules nest too deeply when put into each other");
    if (++nodes > kMaxTreeNodes) throw ConstraintTooLarge("its rules are too many when put into each other");
    if (e.kind == Kind::rule) return tree_of(rules_[e.rule].expression, nodes, depth + 1);
    RegexTree out;
    out.kind = e.kind == Kind::characters     ? RegexTree::Kind::characters
               : e.kind == Kind::alternatives ? RegexTree::Kind::alternatives
               : e.kind == Kind::repeat       ? RegexTree::Kind::repeat
                                              : RegexTree::Kind::sequence;
    out.characters = e.characters;
    out.min = e.min;
    out.max = e.max;
    for (const GbnfExpression& child : e.children) out.children.push_back(tree_of(child, nodes, depth + 1));
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
