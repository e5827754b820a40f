#include "text/constraint/mask/token_trie.h"

#include <algorithm>

namespace mmbatch {

void TokenTrie::build(const std::vector<std::string>& bytes, std::vector<std::int32_t> order) {
  const auto text = [&](std::int32_t id) -> const std::string& {
    return bytes[static_cast<std::size_t>(id)];
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int32_t a, std::int32_t b) { return text(a) < text(b); });
  nodes_.emplace_back();
  std::vector<std::uint32_t> path{0};  // from the root to the last node
  const auto close = [&](std::size_t depth) {
    while (path.size() > depth + 1) {
      nodes_[path.back()].end = static_cast<std::uint32_t>(nodes_.size());
      path.pop_back();
    }
  };
  const std::string none;
  const std::string* before = &none;
  for (const std::int32_t id : order) {
    const std::string& now = text(id);
    const auto differ = std::mismatch(before->begin(), before->end(), now.begin(), now.end());
    close(static_cast<std::size_t>(differ.second - now.begin()));
    while (path.size() <= now.size()) {
      Node node;
      node.depth = static_cast<std::uint16_t>(path.size());
      node.byte = static_cast<std::uint8_t>(now[path.size() - 1]);
      node.first = static_cast<std::uint32_t>(tokens_.size());
      path.push_back(static_cast<std::uint32_t>(nodes_.size()));
      nodes_.push_back(node);
    }
    if (nodes_.back().tokens < UINT16_MAX) {
      ++nodes_.back().tokens;
      tokens_.push_back(id);
    }
    before = &now;
  }
  close(0);
  nodes_[0].end = static_cast<std::uint32_t>(nodes_.size());
}

std::uint32_t TokenTrie::child(std::uint32_t node, std::uint8_t byte) const {
  const std::uint32_t end = nodes_[node].end;
  std::uint32_t child = node + 1;
  while (child < end && nodes_[child].byte != byte) child = nodes_[child].end;
  return child < end ? child : 0;
}

std::uint32_t TokenTrie::find(std::string_view bytes) const {
  std::uint32_t at = 0;
  for (const char c : bytes) {
    at = child(at, static_cast<std::uint8_t>(c));
    if (at == 0) return 0;
  }
  return at;
}

}  // namespace mmbatch
