#include "jobs/media/media.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "engine/base/sha256.h"
#include "engine/base/text/base64.h"
#include "jobs/media/retry.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

/// Closes what it holds.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

/// A path in a message: its end tells most.
std::string said(const std::filesystem::path& path) {
  constexpr std::size_t kMostBytes = 300;
  const std::string text = path.string();
  if (text.size() <= kMostBytes) return text;
  return shortened(text, 100) + "/" + shortened(path.filename().string(), 150);
}

[[noreturn]] void fail_to_open(const std::filesystem::path& path, int reason) {
  if (reason == ENOENT || reason == ENOTDIR) {
    throw ItemError(ErrorCode::image_missing, fmt::format("{}: no such file", said(path)));
  }
  if (reason == ENXIO) {  // a socket, or a device without a driver
    throw ItemError(ErrorCode::path_refused, fmt::format("{}: not a regular file", said(path)));
  }
  const std::string problem = fmt::format("{}: {}", said(path), std::strerror(reason));
  if (may_pass(reason)) throw PassingFault(ErrorCode::image_unreadable, problem);
  throw ItemError(ErrorCode::image_unreadable, problem);
}

bool is_below(const std::filesystem::path& path, const std::filesystem::path& root) {
  return std::mismatch(root.begin(), root.end(), path.begin(), path.end()).first == root.end();
}

std::filesystem::path without_slash(const std::filesystem::path& folder) {
  return folder.has_filename() ? folder : folder.parent_path();
}

[[noreturn]] void refuse_escape(const Item::Image& image) {
  throw ItemError(ErrorCode::path_refused,
                  fmt::format("{}: leads out of {}", shortened(image.written, 200), said(image.root)));
}

/// Opens a path below a root. Symlinks are resolved and judged first, then each folder is opened without
/// following any, so that one which is swapped in between is not followed.
Descriptor open_below(const Item::Image& image) {
  const std::filesystem::path written = image.path.lexically_normal();
  std::error_code failed;
  const auto root = std::filesystem::canonical(image.root, failed);
  if (failed) fail_to_open(image.root, failed.value());
  // A name that leads out is refused whether or not it is there: it tells nothing of what lies elsewhere.
  if (!is_below(written, without_slash(image.root.lexically_normal())) && !is_below(written, root))
    refuse_escape(image);
  const auto path = std::filesystem::canonical(image.path, failed);
  if (failed) fail_to_open(image.path, failed.value());
  if (!is_below(path, root)) refuse_escape(image);

  const std::filesystem::path inside = path.lexically_relative(root);
  Descriptor folder(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (auto part = inside.begin(); part != inside.end() && folder.get() >= 0; ++part) {
    const bool last = std::next(part) == inside.end();
    const int flags = last ? O_RDONLY | O_NONBLOCK : O_PATH | O_DIRECTORY;
    folder = Descriptor(::openat(folder.get(), part->c_str(), flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY));
  }
  if (folder.get() < 0) fail_to_open(image.path, errno);
  return folder;
}

/// What kind of file it is, before opening it could do anything (a tape rewinds, a fifo wakes its writer).
void check_regular(const std::filesystem::path& path, const struct stat& status) {
  if (S_ISREG(status.st_mode)) return;
  throw ItemError(
      ErrorCode::path_refused,
      fmt::format("{}: {}", said(path), S_ISDIR(status.st_mode) ? "is a folder" : "not a regular file"));
}

struct OpenImage {
  Descriptor fd;
  struct stat status;
};

OpenImage open_image(const Item::Image& image, const MediaLimits& limits) {
  if (image.path.native().find('\0') != std::string::npos || image.path.empty()) {
    throw ItemError(ErrorCode::path_refused, "an image path is empty or has a NUL character");
  }
  struct stat status {};
  if (image.root.empty()) {
    if (::stat(image.path.c_str(), &status) != 0) fail_to_open(image.path, errno);
    check_regular(image.path, status);
  }
  Descriptor fd = image.root.empty()
                      ? Descriptor(::open(image.path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY))
                      : open_below(image);
  if (fd.get() < 0) fail_to_open(image.path, errno);
  if (::fstat(fd.get(), &status) != 0) fail_to_open(image.path, errno);
  check_regular(image.path, status);
  if (static_cast<std::uint64_t>(status.st_size) > limits.max_file_bytes) {
    throw ItemError(ErrorCode::image_too_large,
                    fmt::format("{}: {} bytes, at most {} are read", said(image.path), status.st_size,
                                limits.max_file_bytes));
  }
  return {std::move(fd), status};
}

/// Read at a time; even a slow disk gives so much in a moment.
constexpr std::size_t kPartBytes = std::size_t{1} << 20;

/// Reads to the end of the file, which may have grown or shrunk since it was opened.
std::vector<unsigned char> read_all(const OpenImage& file, const Item::Image& image,
                                    const MediaLimits& limits) {
  if (limits.before_reading) limits.before_reading(static_cast<std::size_t>(file.status.st_size) + 1);
  std::vector<unsigned char> bytes(static_cast<std::size_t>(file.status.st_size) + 1);
  std::size_t filled = 0;
  for (;;) {
    limits.deadline.check();
    if (filled == bytes.size()) bytes.resize(bytes.size() * 2);
    const std::size_t wanted = std::min(kPartBytes, bytes.size() - filled);
    const ssize_t got = ::read(file.fd.get(), bytes.data() + filled, wanted);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_to_open(image.path, errno);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
    if (filled > limits.max_file_bytes) {
      throw ItemError(ErrorCode::image_too_large,
                      fmt::format("{}: grows while it is read", said(image.path)));
    }
  }
  bytes.resize(filled);
  return bytes;
}

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

FileStamp stamp_of(const Item::Image& image, const struct stat& status) {
  FileStamp stamp;
  stamp.path = image.path.string();
  stamp.size = static_cast<std::uint64_t>(status.st_size);
  stamp.modified_ns = nanoseconds(status.st_mtim);
  stamp.changed_ns = nanoseconds(status.st_ctim);
  stamp.inode = status.st_ino;
  return stamp;
}

/// A file that changed a moment ago can change again within one tick of the file system's clock, and keep its
/// stamp.
bool is_settled(const FileStamp& stamp) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return nanoseconds(now) - std::max(stamp.modified_ns, stamp.changed_ns) > 100'000'000;
}

std::vector<unsigned char> read_data(const Item::Image& image, const MediaLimits& limits) {
  if (image.data.size() / 4 * 3 > limits.max_file_bytes) {
    throw ItemError(ErrorCode::image_too_large,
                    fmt::format("{}: more than {} bytes", image.written, limits.max_file_bytes));
  }
  if (limits.before_reading) limits.before_reading(image.data.size() / 4 * 3);
  auto bytes = from_base64(image.data);
  if (!bytes)
    throw ItemError(ErrorCode::image_unreadable, fmt::format("{}: not valid base64", image.written));
  return std::move(*bytes);
}

/// The bytes of an archive's member, which came with its item.
std::vector<unsigned char> copy_bytes(const Item::Image& image, const MediaLimits& limits) {
  if (limits.before_reading) limits.before_reading(image.bytes->size());
  return {image.bytes->begin(), image.bytes->end()};
}

std::string digest_of(const std::vector<unsigned char>& bytes) {
  return Sha256().update(bytes.data(), bytes.size()).hex();
}

}  // namespace

std::vector<unsigned char> read_image(const Item::Image& image, const MediaLimits& limits) {
  if (image.bytes) return copy_bytes(image, limits);
  if (!image.data.empty()) return read_data(image, limits);
  return retried([&] { return read_all(open_image(image, limits), image, limits); });
}

bool may_pass(int reason) {
  return reason == EBUSY || reason == EAGAIN || reason == EINTR || reason == ESTALE || reason == ETXTBSY ||
         reason == ENFILE || reason == EMFILE;
}

namespace {

ImageDigest digest_file(const Item::Image& image, DigestCache* cache, const MediaLimits& limits) {
  const OpenImage file = open_image(image, limits);
  const FileStamp stamp = stamp_of(image, file.status);
  if (cache != nullptr) {
    if (auto known = cache->find_digest(stamp)) return {std::move(*known), {}};
  }
  std::vector<unsigned char> bytes = read_all(file, image, limits);
  std::string digest = digest_of(bytes);
  if (cache != nullptr && bytes.size() == stamp.size && is_settled(stamp))
    cache->remember_digest(stamp, digest);
  return {std::move(digest), std::move(bytes)};
}

}  // namespace

ImageDigest digest_image(const Item::Image& image, DigestCache* cache, const MediaLimits& limits) {
  if (image.data.empty() && !image.bytes) return retried([&] { return digest_file(image, cache, limits); });
  std::vector<unsigned char> bytes = image.bytes ? copy_bytes(image, limits) : read_data(image, limits);
  std::string digest = digest_of(bytes);
  return {std::move(digest), std::move(bytes)};
}

}  // namespace mmbatch
