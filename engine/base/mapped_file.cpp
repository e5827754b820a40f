#include "engine/base/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/files/lfs_pointer.h"
#include "engine/base/files/mapped_path.h"
#include "engine/base/large_page.h"

namespace mmbatch {
namespace {

struct Extent {
  const std::byte* end;
  std::filesystem::path path;
};

/// All mapped files of the process, by their begin: release_mapped() must not touch other memory.
struct Mapped {
  std::mutex mutex;
  std::map<const std::byte*, Extent> files;
};

Mapped& mapped_files() {
  static auto* all = new Mapped;  // files may be closed while the program ends
  return *all;
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) throw ModelError(fmt::format("{}: cannot open: {}", path.string(), std::strerror(errno)));
  struct stat info {};
  const bool known = ::fstat(fd, &info) == 0;
  if (!known || !S_ISREG(info.st_mode) || info.st_size <= 0) {
    ::close(fd);
    throw ModelError(fmt::format("{}: expected a regular file that is not empty", path.string()));
  }
  size_ = static_cast<std::size_t>(info.st_size);
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd, 0);
  const int map_errno = errno;
  ::close(fd);
  if (mapped == MAP_FAILED) {
    throw ModelError(fmt::format("{}: cannot map: {}", path.string(), std::strerror(map_errno)));
  }
  data_ = static_cast<const std::byte*>(mapped);
  if (is_lfs_pointer({static_cast<const char*>(mapped), std::min(size_, kLfsPointerBytes)})) {
    ::munmap(mapped, size_);
    throw ModelError(fmt::format("{}: {}", path.string(), kLfsPointerFault));
  }
  // Only a request, which file systems that keep files in large pages can follow.
  ::madvise(mapped, size_, MADV_HUGEPAGE);
  const std::lock_guard lock(mapped_files().mutex);
  mapped_files().files[data_] = {data_ + size_, path_};
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  {
    const std::lock_guard lock(mapped_files().mutex);
    mapped_files().files.erase(data_);
  }
  ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void release_mapped(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  Mapped& all = mapped_files();
  const std::lock_guard lock(all.mutex);
  const auto next = all.files.upper_bound(bytes.data());
  if (next == all.files.begin()) return;
  const std::byte *const first = std::prev(next)->first, *const last = std::prev(next)->second.end;
  if (last < bytes.data() + bytes.size()) return;
  // The whole of every large page that the bytes touch: one that is read for the sake of a neighbour is
  // mapped as a whole, and what was given back of it before would stay in memory.
  const auto from = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::uintptr_t begin = from / kLargePage * kLargePage;
  const std::uintptr_t end = (from + bytes.size() + kLargePage - 1) / kLargePage * kLargePage;
  const std::uintptr_t file = reinterpret_cast<std::uintptr_t>(first);
  const std::uintptr_t file_end = reinterpret_cast<std::uintptr_t>(last);
  void* const start = reinterpret_cast<void*>(std::max(begin, file));
  ::madvise(start, std::min(end, file_end) - std::max(begin, file),
            MADV_DONTNEED);  // a shared file loses nothing
}

std::filesystem::path mapped_path(const std::byte* at) {
  Mapped& all = mapped_files();
  const std::lock_guard lock(all.mutex);
  const auto next = all.files.upper_bound(at);
  if (next == all.files.begin() || at >= std::prev(next)->second.end) return {};
  return std::prev(next)->second.path;
}

}  // namespace mmbatch
