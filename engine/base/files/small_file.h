#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "engine/base/result.h"

namespace mmbatch {

/// The bytes of a file that a user names and that is small by its nature, such as a schema or a grammar.
/// Never waits: a fifo or a device is refused, not opened for good.
/// @return or what is wrong with it, to be told behind its name: "not a regular file"
Result<std::string> read_small_file(const std::filesystem::path& file, std::size_t max_bytes);

}  // namespace mmbatch
