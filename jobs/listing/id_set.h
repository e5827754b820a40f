#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace mmbatch {

/// Which ids were seen, as 128 bits of their SHA-256 in an open-addressed table: 21 to 43 bytes per id.
class IdSet {
 public:
  /// False when the id was in the set before.
  bool insert(std::string_view id);
  bool contains(std::string_view id) const;
  std::size_t size() const { return size_; }

 private:
  using Key = std::pair<std::uint64_t, std::uint64_t>;  // {0, 0} marks a free slot
  static Key key_of(std::string_view id);
  bool place(std::vector<Key>& slots, const Key& key);
  void grow();

  std::vector<Key> slots_;
  std::size_t size_ = 0;
};

}  // namespace mmbatch
