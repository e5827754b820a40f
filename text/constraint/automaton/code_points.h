#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace mmbatch {

/// A set of Unicode scalar values (no surrogates), as sorted ranges that do not touch.
class CodePoints {
 public:
  using Range = std::pair<char32_t, char32_t>;  // both ends belong to it

  CodePoints() = default;
  explicit CodePoints(std::vector<Range> ranges);

  static CodePoints all();
  void add(const CodePoints& other);
  CodePoints complement() const;
  bool empty() const { return ranges_.empty(); }
  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  void normalise();

  std::vector<Range> ranges_;
};

/// UTF-8 sequences of a set: each is a byte range for every byte, first to last.
struct Utf8Sequence {
  std::uint8_t low[4];
  std::uint8_t high[4];
  int length;
};
std::vector<Utf8Sequence> utf8_sequences(const CodePoints& set);

}  // namespace mmbatch
