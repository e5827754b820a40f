#pragma once

#include <string_view>

namespace mmbatch {

/// Whether a file that begins so is a pointer of Git LFS, which keeps large files beside their repository: a
/// clone without it has pointers in their place (git-lfs, docs/spec.md).
bool is_lfs_pointer(std::string_view beginning);

/// How many bytes of a file tell.
inline constexpr std::size_t kLfsPointerBytes = 48;

/// What is said of one, behind the file's name.
inline constexpr const char* kLfsPointerFault =
    "a Git LFS pointer, not the file itself: run 'git lfs pull' in its repository, or download the file";

}  // namespace mmbatch
