#pragma once

#include <cstdint>
#include <string>

#include "engine/base/config.h"

namespace mmbatch {

/// A number of the processor's file that the tower has too: both must say the same.
/// @param otherwise what the file means where it does not say
/// @throws ModelError when they differ
void check_same_as_tower(const Config& config, const std::string& key, int tower, std::int64_t otherwise);

}  // namespace mmbatch
