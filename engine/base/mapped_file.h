#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace mmbatch {

/// A regular file, mapped read-only and shared with every other process that maps it. Move-only.
class MappedFile {
 public:
  /// @throws ModelError when the file is missing, not a regular file, empty or cannot be mapped.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Says that bytes will hardly be read again soon: the pages of a mapped file that they touch, up to 2 MiB
/// around them, need not stay in this process's memory, and come back when they are read. What lies in no
/// mapped file is left alone.
/// Thread-safe.
void release_mapped(std::span<const std::byte> bytes);

}  // namespace mmbatch
