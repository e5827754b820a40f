#include "jobs/manifest/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <unordered_set>

#include "engine/base/error.h"
#include "engine/base/text/lower_case.h"
#include "engine/base/text/utf8.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

[[noreturn]] void fail_at(const std::string& source, const YAML::Mark& mark, const std::string& problem) {
  if (mark.is_null()) throw UsageError(fmt::format("{}: {}", source, problem));
  throw UsageError(fmt::format("{}:{}:{}: {}", source, mark.line + 1, mark.column + 1, problem));
}

using NodePointer = std::shared_ptr<YamlNode>;

/// Builds the tree from the parser's events: yaml-cpp's own tree costs 4.7 KB an item and keeps the first of
/// two equal keys in silence.
class Builder : public YAML::EventHandler {
 public:
  Builder(const std::string& source, const YamlLimits& limits) : source_(source), limits_(limits) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(leaf(YamlNode::Kind::null, mark), mark, anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    NodePointer node = leaf(YamlNode::Kind::scalar, mark);
    node->text = value;
    node->style = tag == "?" || tag.empty() ? YamlNode::Style::plain : YamlNode::Style::quoted;
    const bool is_null =
        value == "~" || value == "null" || value == "Null" || value == "NULL" || value.empty();
    if (node->style == YamlNode::Style::plain && is_null && !expects_key()) node->kind = YamlNode::Kind::null;
    add(std::move(node), mark, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) fail_at(source_, mark, "an alias may not stand inside what it refers to");
    add(found->second, mark, 0);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::list, mark, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::map, mark, anchor);
  }
  void OnMapEnd() override { close(); }

  NodePointer take_root() { return std::move(root_); }

 private:
  struct Open {
    NodePointer node;
    YAML::Mark mark;
    YAML::anchor_t anchor = 0;
    std::unordered_set<std::string> keys;
    NodePointer key;                  // read, its value is awaited
    std::vector<NodePointer> merges;  // values of `<<`
  };

  bool expects_key() const {
    return !open_.empty() && open_.back().node->kind == YamlNode::Kind::map && !open_.back().key;
  }

  NodePointer leaf(YamlNode::Kind kind, const YAML::Mark& mark) {
    if (++nodes_ > limits_.max_nodes) {
      fail_at(source_, mark,
              fmt::format("more than {} values: list the items in a .jsonl file", limits_.max_nodes));
    }
    auto node = std::make_shared<YamlNode>();
    node->kind = kind;
    node->line = static_cast<std::size_t>(mark.line) + 1;
    node->column = static_cast<std::size_t>(mark.column) + 1;
    return node;
  }

  void open(YamlNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (open_.size() == limits_.max_depth) too_deep(mark);
    if (expects_key()) fail_at(source_, mark, "a key must be a text");
    open_.push_back({leaf(kind, mark), mark, anchor, {}, nullptr, {}});
  }

  [[noreturn]] void too_deep(const YAML::Mark& mark) {
    fail_at(source_, mark, fmt::format("nested deeper than {} levels", limits_.max_depth));
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    for (const NodePointer& merged : done.merges) merge(*merged, done);
    add(std::move(done.node), done.mark, done.anchor);
  }

  void add(NodePointer node, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = node;
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& owner = open_.back();
    // Chains of aliases nest without any bracket being open.
    if (open_.size() + node->height > limits_.max_depth) too_deep(mark);
    owner.node->height = std::max(owner.node->height, node->height + 1);
    if (owner.node->kind == YamlNode::Kind::list)
      owner.node->list.push_back(std::move(node));
    else if (!owner.key)
      add_key(owner, std::move(node), mark);
    else
      add_value(owner, std::move(node));
  }

  void add_key(Open& owner, NodePointer key, const YAML::Mark& mark) {
    if (key->kind != YamlNode::Kind::scalar) fail_at(source_, mark, "a key must be a text");
    owner.keys.insert(key->text);
    // An alias as key shares its node with the anchor: the place is that of the alias.
    auto placed = std::make_shared<YamlNode>(*key);
    placed->line = static_cast<std::size_t>(mark.line) + 1;
    placed->column = static_cast<std::size_t>(mark.column) + 1;
    owner.key = std::move(placed);
  }

  void add_value(Open& owner, NodePointer value) {
    if (owner.key->text == "<<" && owner.key->style == YamlNode::Style::plain)
      owner.merges.push_back(std::move(value));
    else
      owner.node->map.push_back({owner.key->text, owner.key->line, owner.key->column, std::move(value)});
    owner.key.reset();
  }

  /// yaml.org/type/merge: keys of the map itself win, then those of the first map merged.
  void merge(const YamlNode& from, Open& into) {
    nodes_ += 1 + from.list.size() + from.map.size();
    if (nodes_ > limits_.max_nodes) fail_at(source_, into.mark, "too many values come from merge keys");
    if (from.kind == YamlNode::Kind::list) {
      for (const auto& element : from.list) merge(*element, into);
      return;
    }
    if (from.kind != YamlNode::Kind::map) fail_at(source_, into.mark, "'<<' takes a map or a list of maps");
    for (const YamlNode::Entry& entry : from.map) {
      if (into.keys.insert(entry.key).second) into.node->map.push_back(entry);
    }
  }

  const std::string& source_;
  const YamlLimits& limits_;
  std::size_t nodes_ = 0;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, NodePointer> anchors_;
  NodePointer root_;
};

void check_text(std::string_view text, const std::string& source, const YamlLimits& limits) {
  if (text.size() > limits.max_bytes) {
    throw UsageError(fmt::format("{}: larger than {} MiB: list the items in a .jsonl file, which is streamed",
                                 source, limits.max_bytes >> 20));
  }
  if (const auto bad = invalid_utf8_at(text)) {
    const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(*bad), '\n') + 1;
    throw UsageError(fmt::format("{}:{}: invalid UTF-8", source, line));
  }
}

}  // namespace

const YamlNode::Entry* YamlNode::find(std::string_view key) const {
  for (const Entry& entry : map) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

std::shared_ptr<const YamlNode> parse_yaml(std::string_view text, const std::string& source,
                                           const YamlLimits& limits) {
  check_text(text, source, limits);
  std::istringstream stream{std::string(text)};
  Builder builder(source, limits);
  try {
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) throw UsageError(fmt::format("{}: empty", source));
    auto root = builder.take_root();
    Builder rest(source, limits);
    if (parser.HandleNextDocument(rest)) {
      throw UsageError(fmt::format("{}: more than one YAML document ('---'): one is allowed", source));
    }
    return root;
  } catch (const YAML::Exception& e) {
    // yaml-cpp stumbles over `{question: what is it?}`, which YAML allows.
    const bool puzzled = e.msg == "unknown token";
    fail_at(source, e.mark,
            puzzled ? "unexpected character: put texts with special characters in quotes" : e.msg);
  }
}

}  // namespace mmbatch
