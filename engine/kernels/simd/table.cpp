#include "engine/kernels/simd/functions.h"

#define MMBATCH_TEXT_OF(name) #name
#define MMBATCH_TEXT(name) MMBATCH_TEXT_OF(name)

namespace mmbatch::MMBATCH_ISA {

extern const SimdKernels kTable;
const SimdKernels kTable = {
    MMBATCH_TEXT(MMBATCH_ISA) + sizeof("isa_") - 1,
    attention_scratch,
    attention,
    rms_norm,
    layer_norm,
    activate,
    activate_gated,
    rotate,
    add,
    softmax_stats,
    softcap,
};

}  // namespace mmbatch::MMBATCH_ISA
