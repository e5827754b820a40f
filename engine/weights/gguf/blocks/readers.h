#pragma once

#include <cstdint>
#include <cstring>

#include "engine/weights/tensor.h"

namespace mmbatch::gguf {

constexpr int kSuperBlock = 256;  // elements of a k-quant's block

inline std::uint16_t load_u16(const std::uint8_t* from) {
  return static_cast<std::uint16_t>(from[0] | from[1] << 8);
}
inline std::uint32_t load_u32(const std::uint8_t* from) {
  return load_u16(from) | static_cast<std::uint32_t>(load_u16(from + 2)) << 16;
}
/// A scale: float16.
inline float load_half(const std::uint8_t* from) {
  return half_to_float(load_u16(from));
}

// One function for each type; d and m are its float16 scales, q its small numbers. See ReadBlock.

// 32 elements with one scale
void read_q4_0(const std::uint8_t* block, float* out);
void read_q4_1(const std::uint8_t* block, float* out);
void read_q5_0(const std::uint8_t* block, float* out);
void read_q5_1(const std::uint8_t* block, float* out);
void read_q8_0(const std::uint8_t* block, float* out);
void read_iq4_nl(const std::uint8_t* block, float* out);
void read_mxfp4(const std::uint8_t* block, float* out);
void read_nvfp4(const std::uint8_t* block, float* out);  // 64 elements

// 256 elements with scales of six or eight bits below one of float16
void read_q2_k(const std::uint8_t* block, float* out);
void read_q3_k(const std::uint8_t* block, float* out);
void read_q4_k(const std::uint8_t* block, float* out);
void read_q5_k(const std::uint8_t* block, float* out);
void read_q6_k(const std::uint8_t* block, float* out);
void read_iq4_xs(const std::uint8_t* block, float* out);

// 256 elements from codebooks
void read_iq1_s(const std::uint8_t* block, float* out);
void read_iq1_m(const std::uint8_t* block, float* out);
void read_iq2_xxs(const std::uint8_t* block, float* out);
void read_iq2_xs(const std::uint8_t* block, float* out);
void read_iq2_s(const std::uint8_t* block, float* out);
void read_iq3_xxs(const std::uint8_t* block, float* out);
void read_iq3_s(const std::uint8_t* block, float* out);

// 256 elements that are -1, 0 or 1
void read_tq1_0(const std::uint8_t* block, float* out);
void read_tq2_0(const std::uint8_t* block, float* out);

/// What the sixteen codes of IQ4_NL and IQ4_XS stand for.
inline constexpr float kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                         1,    13,   25,  38,  53,  69,  89,  113};

}  // namespace mmbatch::gguf
