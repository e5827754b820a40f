#include "text/tokenizer/models/byte_trie.h"

#include <algorithm>

namespace mmbatch {

ByteTrie::ByteTrie(std::vector<Entry> entries) : nodes_(1) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.first < b.first; });
  struct Range {
    std::uint32_t node, begin, end, depth;
  };
  std::vector<Range> open = {{kRoot, 0, static_cast<std::uint32_t>(entries.size()), 0}};
  while (!open.empty()) {
    Range range = open.back();
    open.pop_back();
    while (range.begin < range.end && entries[range.begin].first.size() == range.depth) {
      if (nodes_[range.node].value < 0) nodes_[range.node].value = entries[range.begin].second;
      ++range.begin;
    }
    nodes_[range.node].first_edge = static_cast<std::uint32_t>(labels_.size());
    while (range.begin < range.end) {
      const auto label = static_cast<unsigned char>(entries[range.begin].first[range.depth]);
      std::uint32_t end = range.begin + 1;
      while (end < range.end && static_cast<unsigned char>(entries[end].first[range.depth]) == label) ++end;
      ++nodes_[range.node].edges;
      labels_.push_back(label);
      targets_.push_back(static_cast<std::uint32_t>(nodes_.size()));
      open.push_back({static_cast<std::uint32_t>(nodes_.size()), range.begin, end, range.depth + 1});
      nodes_.emplace_back();
      range.begin = end;
    }
  }
}

std::uint32_t ByteTrie::child(std::uint32_t node, unsigned char label) const {
  const Node& at = nodes_[node];
  const unsigned char* begin = labels_.data() + at.first_edge;
  const unsigned char* end = begin + at.edges;
  const unsigned char* found = std::lower_bound(begin, end, label);
  return found != end && *found == label ? targets_[static_cast<std::size_t>(found - labels_.data())] : kRoot;
}

}  // namespace mmbatch
