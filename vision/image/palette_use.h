#pragma once

#include <array>
#include <cstddef>

namespace mmbatch {

/// Which colours of a palette pixels have. Formats without checksums can lose a part of their palette unseen;
/// what is left then is unlike any palette that a program makes for its pixels. Takes indices below 256.
class PaletteUse {
 public:
  void mark(std::size_t index) { used_[index] = true; }

  /// Whether the palette seems to have been overwritten: all pixels have one colour by several indices, or a
  /// stretch is black or white throughout, and pixels tell four or more of its entries apart. (A stretch at
  /// an end of the palette that colours gradually lead to is what a contrast was limited to.)
  /// @param color_at the entry at an index below `count`, as an array of three
  template <class ColorAt>
  bool is_implausible(std::size_t count, const ColorAt& color_at) const {
    std::size_t used = 0, first = 0;
    bool one_color = true;
    for (std::size_t i = 0; i < count; ++i) {
      if (!used_[i]) continue;
      if (used++ == 0) first = i;
      one_color = one_color && is_same(color_at(i), color_at(first));
    }
    if (used > 1 && one_color) return true;
    for (std::size_t begin = 0; begin < count;) {
      std::size_t end = begin + 1, told_apart = used_[begin] ? 1 : 0;
      for (; end < count && is_same(color_at(end), color_at(begin)); ++end) told_apart += used_[end] ? 1 : 0;
      const bool is_limit = (begin == 0 && (end == count || is_near(color_at(end), color_at(begin)))) ||
                            (end == count && begin > 0 && is_near(color_at(begin - 1), color_at(begin)));
      if (is_extreme(color_at(begin)) && told_apart >= 4 && !is_limit) return true;
      begin = end;
    }
    return false;
  }

 private:
  template <class Color>
  static bool is_same(const Color& a, const Color& b) {
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
  }
  template <class Color>
  static bool is_near(const Color& a, const Color& b) {
    constexpr int kStep = 48;
    for (int c = 0; c < 3; ++c) {
      if (a[c] - b[c] > kStep || b[c] - a[c] > kStep) return false;
    }
    return true;
  }
  template <class Color>
  static bool is_extreme(const Color& color) {
    return color[0] == color[1] && color[1] == color[2] && (color[0] == 0 || color[0] == 255);
  }

  std::array<bool, 256> used_{};
};

}  // namespace mmbatch
