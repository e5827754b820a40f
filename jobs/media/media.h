#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "jobs/item/item.h"
#include "jobs/media/deadline.h"

namespace mmbatch {

struct MediaLimits {
  std::uint64_t max_file_bytes = 256u << 20;  // a larger image file is refused unread
  Deadline deadline = {};                     // looked at between one part of a file and the next
  /// Called with the size of an image before its bytes are read into memory; may wait. May be empty.
  std::function<void(std::size_t bytes)> before_reading = {};
};

/// What a file system says of a file; equal stamps are taken for equal content.
struct FileStamp {
  std::string path;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  std::uint64_t inode = 0;
  bool operator==(const FileStamp&) const = default;
};

/// Remembers the SHA-256 of files by their stamps, so that resuming a large job does not read every image.
/// Implementations are thread-safe.
class DigestCache {
 public:
  virtual ~DigestCache() = default;
  virtual std::optional<std::string> find_digest(const FileStamp& stamp) = 0;
  virtual void remember_digest(const FileStamp& stamp, const std::string& sha256) = 0;
};

/// The bytes of an image, still encoded. Only regular files are read, and nothing blocks: a fifo, a device or
/// a directory is refused. With a root, a path that leaves it by `..`, a symlink or being absolute elsewhere
/// is too. What can pass (a busy file, a server that was restarted) is tried again a few times.
/// A read that the system does not return
/// from, such as from a server that hangs, is not cut short.
/// @throws ItemError image_missing, image_unreadable, image_too_large, path_refused, unsupported (http),
/// timeout.
std::vector<unsigned char> read_image(const Item::Image& image, const MediaLimits& limits = {});

/// What tells an image from others, and its bytes where they had to be read for that.
struct ImageDigest {
  std::string sha256;  // hex, of the bytes that read_image() would give
  std::optional<std::vector<unsigned char>> bytes;
};

/// @param cache gives the digest of a file whose stamp is known, unread; may be null.
/// @throws ItemError as read_image().
ImageDigest digest_image(const Item::Image& image, DigestCache* cache, const MediaLimits& limits = {});

}  // namespace mmbatch
