#include "bench/machine/peak_kernels.h"

#include <immintrin.h>

#include <algorithm>
#include <iterator>

#include "engine/kernels/simd.h"

// Chains of sums, enough of them to hide the latency of two units, few enough for 16 registers.

namespace mmbatch::bench {
namespace {

constexpr std::size_t kChains = 12;
constexpr std::size_t kLine = 64;  // bytes of a line of the cache

/// The same value in its register, of which the compiler does not know it: products of it are not computed
/// once for all, and sums of it are neither put off nor copied.
#define MMBATCH_OPAQUE(value) asm("" : "+x"(value))

/// `sums`: kChains of them, begun at `start` of their numbers, each replaced by `next` of `sum` in every
/// round, added up with `add` into sums[0]. (A function could not be compiled for the caller's instructions.)
#define MMBATCH_CHAINS(Vector, start, next, add)                                           \
  Vector sums[kChains];                                                                    \
  _Pragma("GCC unroll 32") for (std::uint16_t i = 0; i < kChains; ++i) sums[i] = start(i); \
  for (std::size_t r = 0; r < rounds; ++r) {                                               \
    _Pragma("GCC unroll 32") for (std::size_t i = 0; i < kChains; ++i) {                   \
      Vector& sum = sums[i];                                                               \
      next;                                                                                \
      MMBATCH_OPAQUE(sum);                                                                 \
    }                                                                                      \
  }                                                                                        \
  _Pragma("GCC unroll 32") for (std::size_t i = 1; i < kChains; ++i) sums[0] = add(sums[0], sums[i])

/// What the level that kernels run at may use: MMBATCH_ISA lowers the ceiling too.
bool level_has(std::string_view part) {
  return std::string_view(simd().name).find(part) != std::string_view::npos;
}
bool has_avx512() {
  return level_has("avx512");
}
bool has_avx2() {
  return level_has("avx");
}
bool has_bf16() {
  return level_has("bf16");
}
bool has_amx() {
  return level_has("amx");
}
bool has_avx512_vnni() {
  return level_has("avx512-vnni");
}
bool has_avx_vnni() {
  return level_has("avx-vnni");
}
bool has_sse() {
  return level_has("sse4.2");
}
bool always() {
  return true;
}

__attribute__((target("avx512f"))) void f32_avx512(std::size_t rounds, float* sink) {
  const __m512 factor = _mm512_set1_ps(0.5f), more = _mm512_set1_ps(*sink);
  MMBATCH_CHAINS(__m512, _mm512_set1_ps, sum = _mm512_fmadd_ps(sum, factor, more), _mm512_add_ps);
  *sink = _mm512_reduce_add_ps(sums[0]);
}

__attribute__((target("avx2,fma"))) void f32_avx2(std::size_t rounds, float* sink) {
  const __m256 factor = _mm256_set1_ps(0.5f), more = _mm256_set1_ps(*sink);
  MMBATCH_CHAINS(__m256, _mm256_set1_ps, sum = _mm256_fmadd_ps(sum, factor, more), _mm256_add_ps);
  *sink = _mm_cvtss_f32(_mm256_castps256_ps128(sums[0]));
}

void f32_sse(std::size_t rounds, float* sink) {
  const __m128 factor = _mm_set1_ps(0.5f), more = _mm_set1_ps(*sink);
  MMBATCH_CHAINS(__m128, _mm_set1_ps, sum = _mm_add_ps(_mm_mul_ps(sum, factor), more), _mm_add_ps);
  *sink = _mm_cvtss_f32(sums[0]);
}

__attribute__((target("avx512f,avx512bf16"))) void bf16_avx512(std::size_t rounds, float* sink) {
  const __m512 value = _mm512_set1_ps(*sink);
  const __m512bh left = _mm512_cvtne2ps_pbh(value, value), right = left;
  MMBATCH_CHAINS(__m512, _mm512_set1_ps, sum = _mm512_dpbf16_ps(sum, left, right), _mm512_add_ps);
  *sink = _mm512_reduce_add_ps(sums[0]);
}

/// Words of four bytes, or of two numbers of sixteen bits: what VNNI's instructions multiply and add up.
enum class Words { bytes, shorts };

template <Words words>
__attribute__((target("avx512f,avx512vnni"))) void words_avx512(std::size_t rounds, float* sink) {
  const __m512i left = _mm512_set1_epi8(static_cast<char>(*sink)), right = _mm512_set1_epi8(3);
  MMBATCH_CHAINS(__m512i, _mm512_set1_epi32,
                 sum = words == Words::bytes ? _mm512_dpbusd_epi32(sum, left, right)
                                             : _mm512_dpwssd_epi32(sum, left, right),
                 _mm512_add_epi32);
  *sink = static_cast<float>(_mm512_reduce_add_epi32(sums[0]));
}

template <Words words>
__attribute__((target("avxvnni"))) void words_avx_vnni(std::size_t rounds, float* sink) {
  const __m256i left = _mm256_set1_epi8(static_cast<char>(*sink)), right = _mm256_set1_epi8(3);
  MMBATCH_CHAINS(__m256i, _mm256_set1_epi32,
                 sum = words == Words::bytes ? _mm256_dpbusd_avx_epi32(sum, left, right)
                                             : _mm256_dpwssd_avx_epi32(sum, left, right),
                 _mm256_add_epi32);
  *sink = static_cast<float>(_mm256_extract_epi32(sums[0], 0));
}

// Without an instruction that adds four products: a product and a sum of each.

/// Products of sixteen bits, as of int8 weights; `bytes`: of half bytes and bytes, which sixteen bits hold.
enum class Factors { shorts, bytes };

template <Factors factors>
__attribute__((target("avx2"))) void whole_avx2(std::size_t rounds, float* sink) {
  const __m256i right = _mm256_set1_epi8(3);
  __m256i left = _mm256_set1_epi8(static_cast<char>(*sink));
  MMBATCH_CHAINS(__m256i, _mm256_set1_epi32, MMBATCH_OPAQUE(left);
                 sum = factors == Factors::shorts ? _mm256_add_epi32(sum, _mm256_madd_epi16(left, right))
                                                  : _mm256_add_epi16(sum, _mm256_maddubs_epi16(left, right)),
                 _mm256_add_epi32);
  *sink = static_cast<float>(_mm256_extract_epi32(sums[0], 0));
}

/// Four products of bytes in each sum: those with a sign are turned over where the others' sign was taken.
__attribute__((target("avx2"))) void bytes_avx2(std::size_t rounds, float* sink) {
  const __m256i ones = _mm256_set1_epi16(1), turned = _mm256_set1_epi8(-1);
  __m256i left = _mm256_set1_epi8(static_cast<char>(*sink));
  MMBATCH_CHAINS(__m256i, _mm256_set1_epi32, MMBATCH_OPAQUE(left);
                 const __m256i pairs = _mm256_maddubs_epi16(ones, _mm256_xor_si256(left, turned));
                 sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones)), _mm256_add_epi32);
  *sink = static_cast<float>(_mm256_extract_epi32(sums[0], 0));
}

template <Factors factors>
__attribute__((target("avx512f,avx512bw"))) void whole_avx512(std::size_t rounds, float* sink) {
  const __m512i right = _mm512_set1_epi8(3);
  __m512i left = _mm512_set1_epi8(static_cast<char>(*sink));
  MMBATCH_CHAINS(__m512i, _mm512_set1_epi32, MMBATCH_OPAQUE(left);
                 sum = factors == Factors::shorts ? _mm512_add_epi32(sum, _mm512_madd_epi16(left, right))
                                                  : _mm512_add_epi16(sum, _mm512_maddubs_epi16(left, right)),
                 _mm512_add_epi32);
  *sink = static_cast<float>(_mm512_reduce_add_epi32(sums[0]));
}

template <Factors factors>
__attribute__((target("sse4.2"))) void whole_sse(std::size_t rounds, float* sink) {
  const __m128i right = _mm_set1_epi8(3);
  __m128i left = _mm_set1_epi8(static_cast<char>(*sink));
  MMBATCH_CHAINS(__m128i, _mm_set1_epi32, MMBATCH_OPAQUE(left);
                 sum = factors == Factors::shorts ? _mm_add_epi32(sum, _mm_madd_epi16(left, right))
                                                  : _mm_add_epi16(sum, _mm_maddubs_epi16(left, right)),
                 _mm_add_epi32);
  *sink = static_cast<float>(_mm_cvtsi128_si32(sums[0]));
}

/// Tiles of AMX: sixteen rows, of activations and of sums.
constexpr std::uint8_t kTileRows = 16;
enum class TileNumbers { bytes, bf16 };

/// Operations of a round: four products of sixteen rows and columns.
constexpr double tile_operations(std::size_t depth) {
  return 4 * 2.0 * kTileRows * kTileRows * static_cast<double>(depth);
}

/// @param words of depth, each four bytes or two bfloat16
template <TileNumbers numbers, std::uint8_t words>
__attribute__((target("amx-tile,amx-int8,amx-bf16"))) void tiles_amx(std::size_t rounds, float* sink) {
  struct alignas(kLine) {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 4 * words, 4 * words, 64, 64};
    std::uint8_t rows[16] = {kTileRows, kTileRows, kTileRows, kTileRows, kTileRows, kTileRows, words, words};
  } const shapes;
  alignas(kLine) float tile[kTileRows * kTileRows] = {*sink};
  asm volatile("" ::: "memory");
  _tile_loadconfig(&shapes);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, tile, 4 * words);
  _tile_loadd(5, tile, 4 * words);
  _tile_loadd(6, tile, kLine);
  _tile_loadd(7, tile, kLine);
  for (std::size_t r = 0; r < rounds; ++r) {
    if constexpr (numbers == TileNumbers::bytes) {
      _tile_dpbsud(0, 4, 6);
      _tile_dpbsud(1, 4, 7);
      _tile_dpbsud(2, 5, 6);
      _tile_dpbsud(3, 5, 7);
    } else {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, tile, kLine);
  _tile_release();
  *sink = tile[0];
}

constexpr std::size_t kLines = 4;  // at a time

__attribute__((target("avx512f"))) std::uint64_t read_avx512(const std::byte* data, std::size_t bytes) {
  __m512i seen[kLines];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kLines; ++i) seen[i] = _mm512_setzero_si512();
  for (const std::byte* at = data; at < data + bytes; at += kLines * kLine) {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kLines; ++i) {
      _mm_prefetch(reinterpret_cast<const char*>(at + kReadAhead - kLines * kLine + i * kLine), _MM_HINT_T0);
      seen[i] = _mm512_or_si512(seen[i], _mm512_load_si512(at + i * kLine));
    }
  }
  const __m512i all = _mm512_or_si512(_mm512_or_si512(seen[0], seen[1]), _mm512_or_si512(seen[2], seen[3]));
  return static_cast<std::uint64_t>(_mm512_reduce_or_epi64(all));
}

std::uint64_t read_sse(const std::byte* data, std::size_t bytes) {
  __m128i seen = _mm_setzero_si128();
  for (const std::byte* at = data; at < data + bytes; at += kLine) {
    _mm_prefetch(reinterpret_cast<const char*>(at + kReadAhead - kLine), _MM_HINT_T0);
    const auto* words = reinterpret_cast<const __m128i*>(at);
    const __m128i low = _mm_or_si128(_mm_load_si128(words), _mm_load_si128(words + 1));
    const __m128i high = _mm_or_si128(_mm_load_si128(words + 2), _mm_load_si128(words + 3));
    seen = _mm_or_si128(seen, _mm_or_si128(low, high));
  }
  return static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm_or_si128(seen, _mm_unpackhi_epi64(seen, seen))));
}

template <std::size_t N>
std::vector<PeakKernel> those_that_run(const PeakKernel (&kernels)[N]) {
  std::vector<PeakKernel> here;
  std::copy_if(std::begin(kernels), std::end(kernels), std::back_inserter(here),
               [](const PeakKernel& kernel) { return kernel.runs_here(); });
  return here;
}

}  // namespace

std::vector<PeakKernel> f32_peak_kernels() {
  static const PeakKernel kernels[] = {{"avx512", has_avx512, kChains * 32.0, f32_avx512},
                                       {"avx2", has_avx2, kChains * 16.0, f32_avx2},
                                       {"sse", always, kChains * 8.0, f32_sse}};
  return those_that_run(kernels);
}

std::vector<PeakKernel> bf16_peak_kernels() {
  static const PeakKernel kernels[] = {
      {"amx_bf16", has_amx, tile_operations(32), tiles_amx<TileNumbers::bf16, 16>},
      {"avx512_bf16", has_bf16, kChains * 64.0, bf16_avx512}};
  return those_that_run(kernels);
}

std::vector<PeakKernel> int16_peak_kernels() {
  static const PeakKernel kernels[] = {
      {"avx512_vnni", has_avx512_vnni, kChains * 64.0, words_avx512<Words::shorts>},
      {"avx512", has_avx512, kChains * 64.0, whole_avx512<Factors::shorts>},
      {"avx_vnni", has_avx_vnni, kChains * 32.0, words_avx_vnni<Words::shorts>},
      {"avx2", has_avx2, kChains * 32.0, whole_avx2<Factors::shorts>},
      {"sse", has_sse, kChains * 16.0, whole_sse<Factors::shorts>}};
  return those_that_run(kernels);
}

std::vector<PeakKernel> int8_peak_kernels() {
  static const PeakKernel kernels[] = {
      {"amx_int8", has_amx, tile_operations(64), tiles_amx<TileNumbers::bytes, 16>},
      {"avx512_vnni", has_avx512_vnni, kChains * 128.0, words_avx512<Words::bytes>},
      {"avx512", has_avx512, kChains * 64.0, whole_avx512<Factors::shorts>},
      {"avx_vnni", has_avx_vnni, kChains * 64.0, words_avx_vnni<Words::bytes>},
      {"avx2_bytes", has_avx2, kChains * 64.0, bytes_avx2},
      {"avx2", has_avx2, kChains * 32.0, whole_avx2<Factors::shorts>},
      {"sse", has_sse, kChains * 16.0, whole_sse<Factors::shorts>}};
  return those_that_run(kernels);
}

std::vector<PeakKernel> int4_peak_kernels() {
  // A group of 32 inputs has a scale of its own: tiles are half as deep, and take as long.
  static const PeakKernel kernels[] = {
      {"amx_int8", has_amx, tile_operations(32), tiles_amx<TileNumbers::bytes, 8>},
      {"avx512_vnni", has_avx512_vnni, kChains * 128.0, words_avx512<Words::bytes>},
      {"avx512", has_avx512, kChains * 128.0, whole_avx512<Factors::bytes>},
      {"avx_vnni", has_avx_vnni, kChains * 64.0, words_avx_vnni<Words::bytes>},
      {"avx2", has_avx2, kChains * 64.0, whole_avx2<Factors::bytes>},
      {"sse", has_sse, kChains * 32.0, whole_sse<Factors::bytes>}};
  return those_that_run(kernels);
}

std::uint64_t read_all(const std::byte* data, std::size_t bytes) {
  return has_avx512() ? read_avx512(data, bytes) : read_sse(data, bytes);
}

}  // namespace mmbatch::bench
