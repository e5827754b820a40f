#include "jobs/text/json_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "jobs/text/encoding.h"
#include "jobs/text/json_text.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

using Json = nlohmann::json;

/// Walks over a text and lets others see how far: the parser's events come without a place.
class Cursor {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Cursor(const char* at, const char** seen) : at_(at), seen_(seen) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    *seen_ = ++at_;
    return *this;
  }
  Cursor operator++(int) {
    Cursor before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Cursor& other) const { return at_ == other.at_; }
  bool operator!=(const Cursor& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** seen_;
};

/// Makes nodes of the events of nlohmann's parser, which itself needs no stack for nesting.
class NodeMaker : public nlohmann::json_sax<Json> {
 public:
  NodeMaker(std::string_view text, Place begin)
      : text_(text), place_(begin), counted_(text.data()), at(text.data()) {}

  bool null() override { return add(make(Node::Kind::null, {})); }
  bool boolean(bool value) override { return add(make(Node::Kind::boolean, value ? "true" : "false")); }
  bool number_integer(number_integer_t value) override {
    return add(make(Node::Kind::number, std::to_string(value)));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return add(make(Node::Kind::number, std::to_string(value)));
  }
  bool number_float(number_float_t, const string_t& spelling) override {
    return add(make(Node::Kind::number, spelling));
  }
  bool string(string_t& value) override { return add(make(Node::Kind::text, std::move(value))); }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return open(Node::Kind::map); }
  bool start_array(std::size_t) override { return open(Node::Kind::list); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& key) override {
    Open& owner = open_.back();
    key_place_ = place_of(key_begin());
    if (owner.has(key))
      return fail(key_place_, fmt::format("key '{}' is given twice in one object", key.substr(0, 80)));
    owner.key = std::move(key);
    owner.key_place = key_place_;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    const std::size_t offset = std::min(position > 0 ? position - 1 : 0, text_.size());
    if (const auto bad = encoding_fault(text_))
      return fail(place_of(text_.data() + bad->at), std::string(bad->problem));
    const bool at_end = offset == text_.size();
    return fail(place_of(text_.data() + offset),
                at_end ? "invalid JSON: it ends too early"
                       : fmt::format("invalid JSON: unexpected '{}'", shortened(text_.substr(offset), 20)));
  }

  NodePointer root;
  std::optional<ParsedJson::Fault> fault;

 private:
  struct Open {
    std::shared_ptr<Node> node;
    std::string key;
    Place key_place;
    std::unordered_set<std::string_view> keys;  // of the node's map, once it has many

    /// The views stay valid while the map's strings do: they are made anew as often as it grows.
    bool has(std::string_view wanted) {
      const std::vector<Node::Entry>& map = node->map;
      constexpr std::size_t kMany = 16;
      if (map.size() < kMany) return node->find(wanted) != nullptr;
      if (map.capacity() != capacity) {
        keys.clear();
        for (const Node::Entry& entry : map) keys.insert(entry.key);
        capacity = map.capacity();
      } else {
        keys.insert(map.back().key);
      }
      return keys.count(wanted) > 0;
    }
    std::size_t capacity = 0;
  };

  static std::shared_ptr<Node> make(Node::Kind kind, std::string text) {
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->text = std::move(text);
    return node;
  }

  bool open(Node::Kind kind) {
    const Place place = place_of(at - 1);
    if (open_.size() == static_cast<std::size_t>(kMaxJsonDepth))
      return fail(place, fmt::format("JSON nested deeper than {} levels", kMaxJsonDepth));
    open_.emplace_back();
    open_.back().node = make(kind, {});
    open_.back().node->place = place;
    return true;
  }

  bool close() {
    std::shared_ptr<Node> done = std::move(open_.back().node);
    open_.pop_back();
    return add(std::move(done));
  }

  bool add(std::shared_ptr<Node> node) {
    if (open_.empty()) {
      root = std::move(node);
      return true;
    }
    Open& owner = open_.back();
    owner.node->height = std::max(owner.node->height, node->height + 1);
    if (owner.node->kind == Node::Kind::list)
      owner.node->list.push_back(std::move(node));
    else
      owner.node->map.push_back({std::move(owner.key), owner.key_place, std::move(node)});
    return true;
  }

  /// The quote that opens the key whose closing quote was just read: those inside are escaped.
  const char* key_begin() const {
    const char* quote = at - 2;
    const auto is_escaped = [&](const char* c) {
      const char* before = c;
      while (before > text_.data() && before[-1] == '\\') --before;
      return (c - before) % 2 == 1;
    };
    while (quote > text_.data() && (*quote != '"' || is_escaped(quote))) --quote;
    return quote;
  }

  /// Counts on from the last place that was asked for.
  Place place_of(const char* position) {
    while (counted_ < position) {
      const auto left = static_cast<std::size_t>(position - counted_);
      const auto* const end = static_cast<const char*>(std::memchr(counted_, '\n', left));
      if (end == nullptr) {
        place_.column += left;
        counted_ = position;
      } else {
        ++place_.line;
        place_.column = 1;
        counted_ = end + 1;
      }
    }
    Place place = place_;
    if (counted_ > position) place.column -= std::min<std::uint64_t>(place.column - 1, counted_ - position);
    return place;
  }

  bool fail(Place place, std::string problem) {
    fault = ParsedJson::Fault{place, std::move(problem)};
    return false;
  }

  std::string_view text_;
  Place place_;          // of counted_
  const char* counted_;  // so far, lines were counted
  Place key_place_;
  std::vector<Open> open_;

 public:
  const char* at;  // behind what the parser has read
};

}  // namespace

ParsedJson parse_json(std::string_view text, Place begin) {
  NodeMaker maker(text, begin);
  try {
    const Cursor first(text.data(), &maker.at), last(text.data() + text.size(), &maker.at);
    const bool ok = Json::sax_parse(first, last, &maker);
    if (!ok && !maker.fault) maker.fault = ParsedJson::Fault{begin, "invalid JSON"};
  } catch (const Json::exception&) {
    maker.fault = ParsedJson::Fault{begin, "invalid JSON"};
  }
  if (maker.fault) return {nullptr, std::move(maker.fault)};
  return {std::move(maker.root), std::nullopt};
}

bool is_json(std::string_view text) {
  return !parse_json(text).fault;
}

}  // namespace mmbatch
