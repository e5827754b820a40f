#pragma once

#include <cstddef>

namespace mmbatch {

/// Bytes of a large page of memory or of a file.
constexpr std::size_t kLargePage = std::size_t{2} << 20;

}  // namespace mmbatch
