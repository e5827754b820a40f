#include "engine/kernels/simd/functions.h"

#define MMBATCH_TEXT_OF(name) #name
#define MMBATCH_TEXT(name) MMBATCH_TEXT_OF(name)

namespace mmbatch::MMBATCH_ISA {

extern const SimdKernels kTable;
const SimdKernels kTable = {
    MMBATCH_TEXT(MMBATCH_ISA) + sizeof("isa_") - 1,
    attention_scratch,
    attention_f32,
    attention_bf16,
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
    bf16_panel,
    int8_panel,
    w8a16_panel,
    int4_panel,
    w4a16_panel,
    to_bf16,
    quantize,
    quantize_groups,
    delta_rule_steps,
    delta_rule_chunk,
    causal_convolution,
};

}  // namespace mmbatch::MMBATCH_ISA
