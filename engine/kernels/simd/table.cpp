#include "engine/kernels/simd/dot.h"
#include "engine/kernels/simd/functions.h"

namespace mmbatch::MMBATCH_ISA {

extern const SimdKernels kTable;
#ifdef MMBATCH_LEVEL_LEFT_OUT
const SimdKernels kTable = {};
#else
const SimdKernels kTable = {
    MMBATCH_LEVEL,
    kInt8Bytes,
    kBf16Bytes,
    kPanelRows,
    attention_scratch,
    attention_f32,
    attention_bf16,
    attention_int16,
    store_cached,
    rms_norm,
    layer_norm,
    finish,
    activate_gated,
    activate_clamped,
    rotate,
    add,
    add_scaled,
    multiply_by_sigmoid,
    softmax_stats,
    softcap,
    f32_panel,
    bf16_panel,
    int16_panel,
    int8_panel,
    w8a16_panel,
    int4_panel,
    w4a16_panel,
    e4m3_panel,
    grouped_panel,
    pack_f32,
    pack_bf16,
    pack_int16,
    pack_int8,
    pack_w8a16,
    pack_int4,
    pack_w4a16,
    to_f32,
    to_bf16,
    quantize_int16,
    quantize,
    quantize_groups,
    quantize_in_groups,
    delta_rule_steps,
    delta_rule_chunk,
    causal_convolution,
};
#endif

}  // namespace mmbatch::MMBATCH_ISA
