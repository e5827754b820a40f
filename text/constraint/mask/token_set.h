#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mmbatch {

/// A set of tokens, as bits.
class TokenSet {
 public:
  explicit TokenSet(std::size_t vocab = 0) : words_((vocab + 63) / 64) {}

  void add(std::int32_t token) {
    const auto t = static_cast<std::size_t>(token);
    words_[t / 64] |= std::uint64_t{1} << t % 64;
  }
  bool has(std::int32_t token) const {
    const auto t = static_cast<std::size_t>(token);
    return t / 64 < words_.size() && (words_[t / 64] >> t % 64 & 1) != 0;
  }
  void add(const TokenSet& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }
  void remove(std::int32_t token) {
    const auto t = static_cast<std::size_t>(token);
    words_[t / 64] &= ~(std::uint64_t{1} << t % 64);
  }
  /// Keeps what is in the other set, too.
  void keep(const TokenSet& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= other.words_[i];
  }
  const std::vector<std::uint64_t>& words() const { return words_; }
  std::vector<std::int32_t> ids() const {
    std::vector<std::int32_t> out;
    for (std::size_t i = 0; i < words_.size(); ++i) {
      for (std::uint64_t rest = words_[i]; rest != 0; rest &= rest - 1)
        out.push_back(static_cast<std::int32_t>(i * 64) + __builtin_ctzll(rest));
    }
    return out;
  }

 private:
  std::vector<std::uint64_t> words_;
};

}  // namespace mmbatch
