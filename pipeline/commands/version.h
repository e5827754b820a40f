#pragma once

namespace mmbatch {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace mmbatch
