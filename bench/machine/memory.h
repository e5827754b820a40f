#pragma once

#include <cstddef>

namespace mmbatch::bench {

/// Bytes of memory that this process holds now, pages of mapped files included.
std::size_t resident_bytes();

}  // namespace mmbatch::bench
