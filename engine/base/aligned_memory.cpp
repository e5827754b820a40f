#include "engine/base/aligned_memory.h"

#include <sys/mman.h>

#include <new>

#include "engine/base/large_page.h"

namespace mmbatch {
namespace {

constexpr std::size_t kCacheLine = 64;

std::align_val_t alignment(std::size_t bytes) {
  return std::align_val_t{bytes < kLargePage ? kCacheLine : kLargePage};
}

}  // namespace

void* allocate_aligned(std::size_t bytes) {
  void* memory = ::operator new(bytes, alignment(bytes));
  // Only a request: without large pages the memory is as good, if slower. The part of a page at the end stays
  // as it is.
  if (alignment(bytes) == std::align_val_t{kLargePage})
    ::madvise(memory, bytes / kLargePage * kLargePage, MADV_HUGEPAGE);
  return memory;
}

void free_aligned(void* memory, std::size_t bytes) {
  ::operator delete(memory, alignment(bytes));
}

}  // namespace mmbatch
