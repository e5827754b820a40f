#include "text/constraint/automaton/code_points.h"

#include <algorithm>

namespace mmbatch {
namespace {

constexpr char32_t kLast = 0x10FFFF;
constexpr char32_t kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;

int encode(char32_t c, std::uint8_t* out) {
  if (c < 0x80) {
    out[0] = static_cast<std::uint8_t>(c);
    return 1;
  }
  const int length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (int i = length - 1; i > 0; --i, c >>= 6) out[i] = static_cast<std::uint8_t>(0x80 | (c & 0x3F));
  static constexpr std::uint8_t kLead[] = {0, 0, 0xC0, 0xE0, 0xF0};
  out[0] = static_cast<std::uint8_t>(kLead[length] | c);
  return length;
}

/// Splits a range until its first and last value differ only in bytes behind which every byte may stand.
void split(char32_t low, char32_t high, std::vector<Utf8Sequence>& out) {
  static constexpr char32_t kEnds[] = {0x7F, 0x7FF, 0xFFFF};
  for (const char32_t end : kEnds) {
    if (low <= end && end < high) {
      split(low, end, out);
      split(end + 1, high, out);
      return;
    }
  }
  if (low >= 0x80) {
    for (int bits = 6; bits <= 18; bits += 6) {
      const char32_t mask = (char32_t{1} << bits) - 1;
      if ((low & ~mask) == (high & ~mask)) continue;
      if ((low & mask) != 0) {
        split(low, low | mask, out);
        split((low | mask) + 1, high, out);
        return;
      }
      if ((high & mask) != mask) {
        split(low, (high & ~mask) - 1, out);
        split(high & ~mask, high, out);
        return;
      }
    }
  }
  Utf8Sequence sequence{};
  sequence.length = encode(low, sequence.low);
  encode(high, sequence.high);
  out.push_back(sequence);
}

}  // namespace

CodePoints::CodePoints(std::vector<Range> ranges) : ranges_(std::move(ranges)) {
  normalise();
}

CodePoints CodePoints::all() {
  return CodePoints({{0, kLast}});
}

void CodePoints::add(const CodePoints& other) {
  ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
  normalise();
}

CodePoints CodePoints::complement() const {
  std::vector<Range> out;
  char32_t from = 0;
  for (const auto& [low, high] : ranges_) {
    if (low > from) out.emplace_back(from, low - 1);
    from = high + 1;
  }
  if (from <= kLast) out.emplace_back(from, kLast);
  return CodePoints(std::move(out));
}

void CodePoints::normalise() {
  std::vector<Range> cut;
  for (const auto& [low, high] : ranges_) {
    if (low < kFirstSurrogate) cut.emplace_back(low, std::min<char32_t>(high, kFirstSurrogate - 1));
    if (high > kLastSurrogate)
      cut.emplace_back(std::max<char32_t>(low, kLastSurrogate + 1), std::min(high, kLast));
  }
  std::sort(cut.begin(), cut.end());
  ranges_.clear();
  for (const Range& range : cut) {
    if (range.first > range.second) continue;
    if (!ranges_.empty() && range.first <= ranges_.back().second + 1)
      ranges_.back().second = std::max(ranges_.back().second, range.second);
    else
      ranges_.push_back(range);
  }
}

std::vector<Utf8Sequence> utf8_sequences(const CodePoints& set) {
  std::vector<Utf8Sequence> out;
  for (const auto& [low, high] : set.ranges()) split(low, high, out);
  return out;
}

}  // namespace mmbatch
