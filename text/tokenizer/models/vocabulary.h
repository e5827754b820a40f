#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// The tokens of a vocabulary and their ids, in both directions; compact, and quick to fill. Read by all
/// threads.
class TokenVocabulary {
 public:
  static constexpr std::int64_t kMaxId = (1 << 24) - 1;
  static constexpr std::size_t kMaxTokenBytes = 4096;

  void reserve(std::size_t tokens);
  /// Where a token is given twice, the later id counts.
  /// @param id at most kMaxId.
  void add(std::string_view token, std::uint32_t id);

  std::optional<std::uint32_t> find(std::string_view token) const;
  /// Empty when no token has this id.
  std::string_view token(std::uint32_t id) const;
  bool has(std::uint32_t id) const { return id < entry_of_id_.size() && entry_of_id_[id] != 0; }

  /// Different tokens.
  std::size_t size() const { return entries_.size(); }
  std::uint32_t id_end() const { return static_cast<std::uint32_t>(entry_of_id_.size()); }
  /// The longest token, in bytes.
  std::size_t longest() const { return longest_; }

  /// Calls `visit(token, id)` for every token.
  template <typename Visit>
  void each(Visit&& visit) const {
    for (const Entry& entry : entries_) visit(text(entry), entry.id);
  }

 private:
  struct Entry {
    std::uint32_t begin, size, id, hash;
  };

  std::string_view text(const Entry& entry) const {
    return std::string_view(bytes_).substr(entry.begin, entry.size);
  }
  /// The slot of a token, or the free one where it belongs.
  std::size_t slot(std::string_view token, std::uint32_t hash) const;
  void grow(std::size_t slots);

  std::string bytes_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> slots_;        // a power of two; one more than the entry's number, 0 where free
  std::vector<std::uint32_t> entry_of_id_;  // one more than the entry's number, 0 where no token has the id
  std::size_t longest_ = 0;
};

}  // namespace mmbatch
