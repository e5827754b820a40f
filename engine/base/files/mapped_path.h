#pragma once

#include <cstddef>
#include <filesystem>

namespace mmbatch {

/// The path of the mapped file that this byte lies in; empty where it lies in none. For error messages: what
/// is stored is handed on without its file. Thread-safe.
std::filesystem::path mapped_path(const std::byte* at);

}  // namespace mmbatch
