#pragma once

// Products of eight-bit floats (e4m3), with a float32 scale of each column for 64 inputs, and bfloat16: every
// e4m3 is a bfloat16. Without instructions for bfloat16 they are E4m3AsFloats.

#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {
#if defined(__AVX512BF16__)

constexpr std::size_t kE4m3Inputs = Panel::kDepthStep;  // of a scale
constexpr std::size_t kE4m3CodeBytes = kE4m3Inputs * Panel::kStrip,
                      kE4m3PartBytes = Panel::e4m3_bytes(kE4m3Inputs);

/// Pairs of bfloat16 of four inputs.
struct TwoPairs {
  Ints of[2];
};

/// Four e4m3 of each of sixteen columns. A bfloat16 has three bits of mantissa more exponent on top: s eeee
/// mmm is s (eeee + 120) mmm0000, whose lower byte is the code's shifted by four. Numbers without an
/// exponent, which are 2⁻⁹ apart, come from tables.
MMBATCH_INLINE TwoPairs widened(const std::byte* p) {
  // First inputs 0 and 1 of four columns, then inputs 2 and 3.
  const __m512i order =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
  // Upper bytes by sign and the upper three bits of the exponent; of those without one by sign and mantissa.
  const __m512i upper_bytes = _mm512_broadcast_i32x4(
      _mm_setr_epi8(60, 61, 62, 63, 64, 65, 66, 67, -68, -67, -66, -65, -64, -63, -62, -61));
  const __m512i small_upper = _mm512_broadcast_i32x4(
      _mm_setr_epi8(0, 0x3b, 0x3b, 0x3b, 0x3c, 0x3c, 0x3c, 0x3c, -128, -69, -69, -69, -68, -68, -68, -68));
  const __m512i small_lower = _mm512_broadcast_i32x4(
      _mm_setr_epi8(0, 0, -128, -64, 0, 0x20, 0x40, 0x60, 0, 0, -128, -64, 0, 0x20, 0x40, 0x60));
  const __m512i half = _mm512_set1_epi8(15), exponent = _mm512_set1_epi8(0x78);
  const __m512i codes = _mm512_shuffle_epi8((__m512i)load_ints(p), order);
  const __m512i upper_half = _mm512_and_si512(_mm512_srli_epi16(codes, 4), half);
  const __m512i lower_half = _mm512_and_si512(codes, half);
  __m512i upper = _mm512_shuffle_epi8(upper_bytes, upper_half);
  __m512i lower = _mm512_slli_epi16(lower_half, 4);
  const __mmask64 small = _mm512_testn_epi8_mask(codes, exponent);
  const __m512i place = _mm512_or_si512(upper_half, lower_half);
  upper = _mm512_mask_shuffle_epi8(upper, small, small_upper, place);
  lower = _mm512_mask_shuffle_epi8(lower, small, small_lower, place);
  return {{(Ints)_mm512_unpacklo_epi8(lower, upper), (Ints)_mm512_unpackhi_epi8(lower, upper)}};
}

/// As they lie in a panel.
struct StoredCodes {
  static constexpr std::size_t kStepBytes = 64;  // of four inputs
  static constexpr std::size_t kAhead = 2048;  // bytes; each line is asked for where its counterpart is used
  MMBATCH_INLINE TwoPairs load(const std::byte* p) { return widened(p); }
};

/// As widened() makes them.
struct WidenedCodes {
  static constexpr std::size_t kStepBytes = 128;
  static constexpr std::size_t kAhead = 0;
  MMBATCH_INLINE TwoPairs load(const std::byte* p) { return {{load_ints(p), load_ints(p + 64)}}; }
};

/// Numbers of something for a strip, and for the next part of kE4m3Inputs.
struct E4m3Places {
  const std::byte* first;
  std::size_t strip_step, part_step;
};

/// y[all rows] (+)= x · some parts of V strips. A part is summed by itself, in two chains, then scaled.
template <class Codes, std::size_t V>
struct E4m3Block {
  static constexpr std::size_t kSteps = kE4m3Inputs / 4;

  const PanelProduct& p;
  const std::byte* x;  // of row 0, at the first part
  E4m3Places codes, scales;
  std::size_t parts;
  Begin begin;
  float* y;  // rows Panel::kColumns apart

  /// @param fetch of the first strip; of the others, what lies as far from theirs
  template <std::size_t R>
  __attribute__((noinline)) void run(std::size_t first, Fetch fetch) const {
    auto rows = RowWords<R>::of(x + first * p.row_bytes, p.row_bytes);
    float* to = y + first * Panel::kColumns;
    const std::byte *w = codes.first, *scale = scales.first;
    for (std::size_t part = 0; part < parts; ++part, w += codes.part_step, scale += scales.part_step) {
      for (std::size_t v = 0; v < V; ++v)
        Fetch::turn({fetch.next + v * scales.strip_step, fetch.lines, fetch.to}, part);
      Floats sums[R][V][2] = {};
#pragma GCC unroll 2
      for (std::size_t step = 0; step < kSteps; ++step) {
        TwoPairs weights[V];
        for (std::size_t v = 0; v < V; ++v) {
          const std::byte* at = w + v * codes.strip_step + step * Codes::kStepBytes;
          if constexpr (Codes::kAhead > 0) __builtin_prefetch(at + Codes::kAhead, 0, 3);
          weights[v] = Codes::load(at);
        }
        for (std::size_t r = 0; r < R; ++r) {
          for (std::size_t pair = 0; pair < 2; ++pair) {
            const Ints word = rows.splat(r, 4 * pair);
            for (std::size_t v = 0; v < V; ++v)
              sums[r][v][pair] = dot2(sums[r][v][pair], weights[v].of[pair], word);
          }
        }
        rows.move(8);
      }
      for (std::size_t v = 0; v < V; ++v) {
        if constexpr (Codes::kAhead > 0)
          __builtin_prefetch(scale + v * scales.strip_step + Codes::kAhead, 0, 3);
        const Floats of_column = load(reinterpret_cast<const float*>(scale + v * scales.strip_step));
        for (std::size_t r = 0; r < R; ++r) {
          float* at = to + r * Panel::kColumns + v * Panel::kStrip;
          const Floats before = begin == Begin::zero && part == 0 ? Floats{} : load(at);
          store(at, (Floats)_mm512_fmadd_ps((__m512)(sums[r][v][0] + sums[r][v][1]), (__m512)of_column,
                                            (__m512)before));
        }
      }
    }
  }
};

/// Few rows, with all strips at once: each code is widened once, where it lies.
void take_as_stored(const PanelProduct& p, std::size_t parts) {
  constexpr std::size_t kFewRows = 4;
  const std::size_t strip_bytes = parts * kE4m3PartBytes;
  const E4m3Block<StoredCodes, kStrips> work{p,
                                             p.x,
                                             {p.panel, strip_bytes, kE4m3PartBytes},
                                             {p.panel + kE4m3CodeBytes, strip_bytes, kE4m3PartBytes},
                                             parts,
                                             Begin::zero,
                                             p.y};
  with_rows<kFewRows>(p.rows, [&]<std::size_t R>() { work.template run<R>(0, {}); });
}

/// Many rows: codes become bfloat16 once, for all of them.
void take_widened(const PanelProduct& p, std::size_t parts) {
  constexpr std::size_t V = 2, kMost = 6, kMostParts = 4, kWideBytes = 2 * kE4m3CodeBytes;
  alignas(64) std::byte wide[V][kMostParts * kWideBytes];
  const std::size_t strip_bytes = parts * kE4m3PartBytes;
  const StripsInTurn strips(p, strip_bytes);
  for (std::size_t s = 0; s < kStrips; s += V) {
    for (std::size_t first = 0; first < parts; first += kMostParts) {
      const std::size_t count = kMostParts < parts - first ? kMostParts : parts - first;
      const std::byte* block = strips[s] + first * kE4m3PartBytes;
      for (std::size_t v = 0; v < V; ++v) {
        for (std::size_t part = 0; part < count; ++part) {
          const std::byte* from = block + v * strip_bytes + part * kE4m3PartBytes;
          std::byte* to = wide[v] + part * kWideBytes;
          for (std::size_t at = 0; at < kE4m3CodeBytes; at += 64) {
            const TwoPairs pairs = widened(from + at);
            store_ints(to + 2 * at, pairs.of[0]);
            store_ints(to + 2 * at + 64, pairs.of[1]);
          }
        }
      }
      const E4m3Block<WidenedCodes, V> work{p,
                                            p.x + first * kE4m3Inputs * 2,
                                            {wide[0], kMostParts * kWideBytes, kWideBytes},
                                            {block + kE4m3CodeBytes, strip_bytes, kE4m3PartBytes},
                                            count,
                                            first == 0 ? Begin::zero : Begin::stored,
                                            p.y + s * Panel::kStrip};
      const std::byte* behind = first + count < parts ? block + count * kE4m3PartBytes : strips[s + V];
      for_row_groups_of_block<kMost>(p.rows, behind, count * kE4m3PartBytes, count, work);
    }
  }
}

#endif

}  // namespace mmbatch::MMBATCH_ISA
