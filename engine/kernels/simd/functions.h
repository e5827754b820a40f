#pragma once

#include "engine/kernels/simd.h"
#include "engine/kernels/simd/vec.h"

// What each instruction set defines; meanings in engine/kernels/simd.h.
namespace mmbatch::MMBATCH_ISA {

std::size_t attention_scratch(std::size_t head_dim);
void attention_f32(const AttentionUnit& unit, float* scratch);
void attention_bf16(const AttentionUnit& unit, float* scratch);
void attention_int16(const AttentionUnit& unit, float* scratch);
void store_cached(RowKind kind, KvPrecision format, const float* x, std::size_t n, std::byte* row);
/// store_cached() for int8: int8[n], then the scale, a float.
void quantize_cached(const float* x, std::size_t n, std::byte* row);
void rms_norm(const float* x, const float* weight, std::size_t n, float eps, float offset, float* out);
void layer_norm(const float* x, const float* weight, const float* bias, std::size_t n, float eps, float* out);
void finish(const Finish& finish, const ProductTile& tile);
void activate_gated(Activation kind, const float* gate, const float* up, std::size_t n, float* out);
void activate_clamped(const ClampedGate& clamp, const float* gate, const float* up, std::size_t n,
                      float* out);
void rotate(float* x, const float* cosine, const float* sine, std::size_t half);
void add(float* x, const float* y, std::size_t n);
void add_scaled(float* x, float factor, const float* y, std::size_t n);
void multiply_by_sigmoid(float* x, const float* gate, std::size_t n);
SoftmaxStats softmax_stats(const float* x, std::size_t n);
void softcap(float* x, std::size_t n, float cap);
void f32_panel(const PanelProduct& product);
void bf16_panel(const PanelProduct& product);
void int16_panel(const PanelProduct& product);
void int8_panel(const PanelProduct& product);
void w8a16_panel(const PanelProduct& product);
void int4_panel(const PanelProduct& product);
void w4a16_panel(const PanelProduct& product);
void e4m3_panel(const PanelProduct& product);
void grouped_panel(const PanelProduct& product, const GroupedPanel& panel, std::size_t units);
void pack_f32(const StripWeights& strip);
void pack_bf16(const StripWeights& strip);
void pack_int16(const StripWeights& strip);
void pack_int8(const StripWeights& strip);
void pack_w8a16(const StripWeights& strip);
void pack_int4(const StripWeights& strip);
void pack_w4a16(const StripWeights& strip);
void to_f32(const float* x, std::size_t n, std::size_t depth, std::byte* row);
void to_bf16(const float* x, std::size_t n, std::size_t depth, std::byte* row);
void quantize_int16(const float* x, std::size_t n, std::size_t depth, std::byte* row);
void quantize(const float* x, std::size_t n, std::size_t depth, std::byte* row);
void quantize_groups(const float* x, std::size_t n, std::size_t depth, std::byte* row);
void quantize_in_groups(const float* x, std::size_t n, std::size_t depth, std::byte* row);
void delta_rule_steps(const DeltaRule& rule);
void delta_rule_chunk(const DeltaRule& rule, float* scratch);
void causal_convolution(const CausalConvolution& convolution);

}  // namespace mmbatch::MMBATCH_ISA
