#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mmbatch {

/// Tokens by their bytes: the nodes of a tree, each before those below it, so that what begins with a byte
/// that is refused is passed over in one step.
class TokenTrie {
 public:
  struct Node {
    std::uint32_t end = 0;    // the first node that is not below this one
    std::uint32_t first = 0;  // of its tokens
    std::uint16_t tokens = 0;
    std::uint16_t depth = 0;  // bytes from the root
    std::uint8_t byte = 0;    // the last of them
  };

  /// @param bytes of each token; empty for those that are left out.  @param wanted which of the others to
  /// take
  template <class Wanted>
  TokenTrie(const std::vector<std::string>& bytes, Wanted&& wanted) {
    std::vector<std::int32_t> order;
    for (std::size_t id = 0; id < bytes.size(); ++id) {
      if (!bytes[id].empty() && bytes[id].size() <= kMaxBytes && wanted(bytes[id]))
        order.push_back(static_cast<std::int32_t>(id));
    }
    build(bytes, std::move(order));
  }

  /// Longer tokens are left out: no text needs them.
  static constexpr std::size_t kMaxBytes = 1024;

  std::size_t size() const { return nodes_.size(); }
  const Node& node(std::size_t i) const { return nodes_[i]; }
  std::span<const std::int32_t> tokens(const Node& node) const {
    return std::span(tokens_).subspan(node.first, node.tokens);
  }
  /// The node of some bytes; 0, the root, when no token begins with them.
  std::uint32_t find(std::string_view bytes) const;
  /// The node one byte further; 0 when there is none.
  std::uint32_t child(std::uint32_t node, std::uint8_t byte) const;

 private:
  void build(const std::vector<std::string>& bytes, std::vector<std::int32_t> order);

  std::vector<Node> nodes_;
  std::vector<std::int32_t> tokens_;
};

}  // namespace mmbatch
