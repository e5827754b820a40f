#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <tuple>

namespace mmbatch {

/// What a path means, whatever it is called: device and inode; for a file that is not there yet, those of its
/// folder, and its name.
struct FileIdentity {
  std::uint64_t device = 0, inode = 0;
  std::string name;  // of a file that is not there yet

  bool operator==(const FileIdentity& other) const {
    return std::tie(device, inode, name) == std::tie(other.device, other.inode, other.name);
  }
};

/// Nothing for what is not a file: an empty path, devices, pipes, sockets.
std::optional<FileIdentity> identity_of(const std::filesystem::path& file);

/// Where symbolic links lead, also one whose target is not there yet.
std::filesystem::path link_target(const std::filesystem::path& file);

}  // namespace mmbatch
