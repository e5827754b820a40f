#include "jobs/manifest/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <sstream>
#include <unordered_set>

#include "engine/base/error.h"
#include "engine/base/text/lower_case.h"
#include "jobs/text/encoding.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

[[noreturn]] void fail_at(const std::string& source, const YAML::Mark& mark, const std::string& problem) {
  if (mark.is_null()) throw UsageError(fmt::format("{}: {}", source, problem));
  throw UsageError(fmt::format("{}:{}:{}: {}", source, mark.line + 1, mark.column + 1, problem));
}

using Growing = std::shared_ptr<Node>;

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// What the YAML 1.2 core schema takes for a number, but for infinities and what is none.
bool is_number(std::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  if (all_digits(text)) return true;
  if (text.empty() || text.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return false;
  if (text[0] != '.' && (text[0] < '0' || text[0] > '9')) return false;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && std::isfinite(value);
}

Node::Kind kind_of_plain(std::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
    return Node::Kind::null;
  if (text == "true" || text == "True" || text == "TRUE") return Node::Kind::boolean;
  if (text == "false" || text == "False" || text == "FALSE") return Node::Kind::boolean;
  return is_number(text) ? Node::Kind::number : Node::Kind::text;
}

Place place_of(const YAML::Mark& mark) {
  return {static_cast<std::uint64_t>(mark.line) + 1, static_cast<std::uint64_t>(mark.column) + 1};
}

/// Builds the nodes from the parser's events: yaml-cpp's own tree costs 4.7 KB an item and keeps the first of
/// two equal keys in silence.
class Builder : public YAML::EventHandler {
 public:
  Builder(const std::string& source, const YamlLimits& limits) : source_(source), limits_(limits) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(leaf(Node::Kind::null, mark), mark, anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Growing node = leaf(Node::Kind::text, mark);
    node->text = value;
    const bool is_plain = tag == "?" || tag.empty();
    merges_ = expects_key() && is_plain && value == "<<";
    if (is_plain && !expects_key()) node->kind = kind_of_plain(value);
    add(std::move(node), mark, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) fail_at(source_, mark, "an alias may not be inside what it refers to");
    merges_ = false;
    add(found->second, mark, 0);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node::Kind::list, mark, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Node::Kind::map, mark, anchor);
  }
  void OnMapEnd() override { close(); }

  Growing take_root() { return std::move(root_); }

 private:
  struct Open {
    Growing node;
    YAML::Mark mark;
    YAML::anchor_t anchor = 0;
    std::unordered_set<std::string> keys;
    bool has_key = false;  // read, its value is awaited
    std::string key;
    Place key_place;
    bool merges_next = false;         // the key is `<<`
    std::vector<NodePointer> merges;  // values of `<<`
  };

  bool expects_key() const {
    return !open_.empty() && open_.back().node->kind == Node::Kind::map && !open_.back().has_key;
  }

  Growing leaf(Node::Kind kind, const YAML::Mark& mark) {
    if (++nodes_ > limits_.max_nodes) {
      fail_at(source_, mark,
              fmt::format("more than {} values: list the items in a .jsonl file", limits_.max_nodes));
    }
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->place = place_of(mark);
    return node;
  }

  void open(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (open_.size() == limits_.max_depth) too_deep(mark);
    if (expects_key()) fail_at(source_, mark, "a key must be a text");
    Open opened;
    opened.node = leaf(kind, mark);
    opened.mark = mark;
    opened.anchor = anchor;
    open_.push_back(std::move(opened));
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

  void add(Growing node, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = node;
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& owner = open_.back();
    // Chains of aliases nest without any bracket being open.
    if (open_.size() + node->height > limits_.max_depth) too_deep(mark);
    owner.node->height = std::max(owner.node->height, node->height + 1);
    if (owner.node->kind == Node::Kind::list)
      owner.node->list.push_back(std::move(node));
    else if (!owner.has_key)
      add_key(owner, *node, mark);
    else
      add_value(owner, std::move(node));
  }

  /// An alias as key shares its node with the anchor: the place is that of the alias.
  void add_key(Open& owner, const Node& key, const YAML::Mark& mark) {
    if (!key.is_scalar()) fail_at(source_, mark, "a key must be a text");
    owner.key = key.text;
    owner.key_place = place_of(mark);
    owner.has_key = true;
    owner.merges_next = merges_;
    if (!owner.keys.insert(key.text).second && !merges_ && owner.node->repeated == Node::kNone)
      owner.node->repeated = owner.node->map.size();
  }

  void add_value(Open& owner, NodePointer value) {
    if (owner.merges_next)
      owner.merges.push_back(std::move(value));
    else
      owner.node->map.push_back({std::move(owner.key), owner.key_place, std::move(value)});
    owner.has_key = false;
  }

  /// yaml.org/type/merge: keys of the map itself win, then those of the first map merged.
  void merge(const Node& from, Open& into) {
    nodes_ += 1 + from.list.size() + from.map.size();
    if (nodes_ > limits_.max_nodes) fail_at(source_, into.mark, "too many values come from merge keys");
    if (from.kind == Node::Kind::list) {
      for (const auto& element : from.list) merge(*element, into);
      return;
    }
    if (from.kind != Node::Kind::map) fail_at(source_, into.mark, "'<<' takes a map or a list of maps");
    for (const Node::Entry& entry : from.map) {
      if (into.keys.insert(entry.key).second) into.node->map.push_back(entry);
    }
  }

  const std::string& source_;
  const YamlLimits& limits_;
  std::size_t nodes_ = 0;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Growing> anchors_;
  Growing root_;
  bool merges_ = false;  // the key that was just read is `<<`
};

void check_text(std::string_view text, const std::string& source, const YamlLimits& limits) {
  if (text.size() > limits.max_bytes) {
    throw UsageError(fmt::format("{}: larger than {} MiB: list the items in a .jsonl file, which is streamed",
                                 source, limits.max_bytes >> 20));
  }
  if (const auto bad = encoding_fault(text)) {
    const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad->at), '\n') + 1;
    throw UsageError(fmt::format("{}:{}: {}", source, line, bad->problem));
  }
}

}  // namespace

NodePointer parse_yaml(std::string_view text, const std::string& source, const YamlLimits& limits) {
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
