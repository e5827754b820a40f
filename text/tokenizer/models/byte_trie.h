#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace mmbatch {

/// Texts by their bytes: for finding which of them a text begins with. Read by all threads.
class ByteTrie {
 public:
  using Entry = std::pair<std::string_view, std::int32_t>;

  ByteTrie() : nodes_(1) {}
  /// @param entries texts that are not empty, and their values, at least 0; the texts need not outlive this
  /// call. Of equal texts the first counts.
  explicit ByteTrie(std::vector<Entry> entries);

  static constexpr std::uint32_t kRoot = 0;
  /// The node that a byte leads to; kRoot where none does.
  std::uint32_t child(std::uint32_t node, unsigned char label) const;
  /// The value of the text that ends at a node; -1 where none does.
  std::int32_t value(std::uint32_t node) const { return nodes_[node].value; }

 private:
  struct Node {
    std::uint32_t first_edge = 0;
    std::uint16_t edges = 0;
    std::int32_t value = -1;
  };

  std::vector<Node> nodes_;
  std::vector<unsigned char> labels_;  // of a node's edges: sorted
  std::vector<std::uint32_t> targets_;
};

}  // namespace mmbatch
