#include "engine/weights/gguf/blocks/block_type.h"

#include <algorithm>

#include "engine/weights/gguf/blocks/readers.h"

namespace mmbatch::gguf {
namespace {

void read_f32(const std::uint8_t* block, float* out) {
  std::memcpy(out, block, sizeof(float));
}
void read_f16(const std::uint8_t* block, float* out) {
  *out = load_half(block);
}
void read_bf16(const std::uint8_t* block, float* out) {
  *out = bfloat_to_float(load_u16(block));
}

constexpr BlockType kTypes[] = {
    {0, "F32", 1, 4, read_f32},
    {1, "F16", 1, 2, read_f16},
    {2, "Q4_0", 32, 18, read_q4_0},
    {3, "Q4_1", 32, 20, read_q4_1},
    {6, "Q5_0", 32, 22, read_q5_0},
    {7, "Q5_1", 32, 24, read_q5_1},
    {8, "Q8_0", 32, 34, read_q8_0},
    {9, "Q8_1", 32, 40, nullptr},
    {10, "Q2_K", 256, 84, read_q2_k},
    {11, "Q3_K", 256, 110, read_q3_k},
    {12, "Q4_K", 256, 144, read_q4_k},
    {13, "Q5_K", 256, 176, read_q5_k},
    {14, "Q6_K", 256, 210, read_q6_k},
    {15, "Q8_K", 256, 292, nullptr},
    {16, "IQ2_XXS", 256, 66, read_iq2_xxs},
    {17, "IQ2_XS", 256, 74, read_iq2_xs},
    {18, "IQ3_XXS", 256, 98, read_iq3_xxs},
    {19, "IQ1_S", 256, 50, read_iq1_s},
    {20, "IQ4_NL", 32, 18, read_iq4_nl},
    {21, "IQ3_S", 256, 110, read_iq3_s},
    {22, "IQ2_S", 256, 82, read_iq2_s},
    {23, "IQ4_XS", 256, 136, read_iq4_xs},
    {24, "I8", 1, 1, nullptr},
    {25, "I16", 1, 2, nullptr},
    {26, "I32", 1, 4, nullptr},
    {27, "I64", 1, 8, nullptr},
    {28, "F64", 1, 8, nullptr},
    {29, "IQ1_M", 256, 56, read_iq1_m},
    {30, "BF16", 1, 2, read_bf16},
    {34, "TQ1_0", 256, 54, read_tq1_0},
    {35, "TQ2_0", 256, 66, read_tq2_0},
    {39, "MXFP4", 32, 17, read_mxfp4},
    {40, "NVFP4", 64, 36, read_nvfp4},
};

}  // namespace

std::span<const BlockType> block_types() {
  return kTypes;
}

const BlockType* find_block_type(std::uint32_t number) {
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](const BlockType& type) { return type.number == number; });
  return found == std::end(kTypes) ? nullptr : found;
}

}  // namespace mmbatch::gguf
