#include "text/tokenizer/sentencepiece/charsmap.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"

namespace mmbatch {
namespace {

constexpr std::size_t kMaxBytes = 4u << 20;  // the largest published map has 0.3 MiB
constexpr int kMaxNested = 32;  // entries that are prefixes of each other: the library's array of results

/// One unit of the double array, as darts.h of Darts-clone lays it out.
struct Unit {
  std::uint32_t bits;

  bool has_leaf() const { return (bits >> 8 & 1) != 0; }
  std::uint32_t value() const { return bits & 0x7FFFFFFF; }
  std::uint32_t label() const { return bits & 0x800000FF; }
  std::uint32_t offset() const { return bits >> 10 << ((bits & 0x200) >> 6); }
};

class Checker {
 public:
  Checker(std::string_view units, std::string_view replacements, const std::string& source)
      : units_(units.size() / sizeof(Unit)), replacements_(replacements), source_(source) {
    std::memcpy(units_.data(), units.data(), units_.size() * sizeof(Unit));
  }

  void check() {
    if (units_.empty()) fail("it is empty");
    if (!replacements_.empty() && replacements_.back() != '\0') fail("a replacement has no end");
    if (!is_utf8(replacements_)) fail("a replacement is not UTF-8");
    nested_.assign(units_.size(), kUnseen);
    open(units_[0].offset());
    while (!path_.empty()) {
      Node& node = path_.back();
      if (node.label == 256) {
        close();
        continue;
      }
      const std::uint32_t label = node.label++;
      const std::uint32_t at = node.base ^ label;
      const Unit unit = units_[at];
      if (unit.label() != label) continue;
      const std::uint32_t base = at ^ unit.offset();
      node.entries = unit.has_leaf() ? 1 : 0;
      if (base < nested_.size() && nested_[base] >= 0) {
        count(node, nested_[base]);
      } else {
        open(base);
      }
      if (unit.has_leaf()) check_value(units_[base].value());
    }
  }

 private:
  static constexpr std::int8_t kUnseen = -2;
  static constexpr std::int8_t kOnPath = -1;

  struct Node {
    std::uint32_t base;       // its child for a byte lies at base ^ byte
    std::uint32_t label = 0;  // the next child to look at
    int entries = 0;          // 1 when an entry ends at the child looked at last
    int nested = 0;           // entries on the fullest way down from here
  };

  /// Nodes are shared, as in a graph of words, but no way may come back to its own beginning.
  void open(std::uint32_t base) {
    if ((base | 0xFF) >= units_.size()) fail("an offset leads out of it");
    if (nested_[base] == kOnPath) fail("it has a cycle");
    nested_[base] = kOnPath;
    path_.push_back({base});
  }

  void close() {
    const Node node = path_.back();
    path_.pop_back();
    nested_[node.base] = static_cast<std::int8_t>(node.nested);
    if (!path_.empty()) count(path_.back(), node.nested);
  }

  void count(Node& node, int below) const {
    node.nested = std::max(node.nested, node.entries + below);
    if (node.nested > kMaxNested) fail(fmt::format("more than {} nested entries", kMaxNested));
  }

  void check_value(std::uint32_t value) const {
    if (value >= replacements_.size()) fail("a replacement lies outside");
    if ((static_cast<std::uint8_t>(replacements_[value]) & 0xC0) == 0x80) fail("a replacement is cut");
  }

  [[noreturn]] void fail(const std::string& problem) const {
    throw ModelError(fmt::format("{}: broken normalization map: {}", source_, problem));
  }

  std::vector<Unit> units_;
  std::string_view replacements_;
  const std::string& source_;
  std::vector<std::int8_t> nested_;  // by base
  std::vector<Node> path_;
};

}  // namespace

void check_charsmap(std::string_view blob, const std::string& source) {
  std::uint32_t trie_bytes = 0;
  const bool complete = blob.size() > sizeof(trie_bytes) && blob.size() <= kMaxBytes;
  if (complete) std::memcpy(&trie_bytes, blob.data(), sizeof(trie_bytes));
  if (!complete || trie_bytes > blob.size() - sizeof(trie_bytes) || trie_bytes % sizeof(Unit) != 0) {
    throw ModelError(fmt::format("{}: broken normalization map: its size does not fit", source));
  }
  const std::string_view units = blob.substr(sizeof(trie_bytes), trie_bytes);
  Checker(units, blob.substr(sizeof(trie_bytes) + trie_bytes), source).check();
}

}  // namespace mmbatch
