#pragma once

#include <cstddef>

namespace mmbatch {

/// Memory that begins at a cache line, not initialised. Large pieces come in large pages where the system has
/// them: a page table of small ones is too large for the processor to remember, and looking it up costs more
/// than the weights or keys that are looked for.
/// @throws std::bad_alloc
void* allocate_aligned(std::size_t bytes);
/// @param bytes as allocated
void free_aligned(void* memory, std::size_t bytes);

}  // namespace mmbatch
