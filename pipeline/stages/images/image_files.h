#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "jobs/media/media.h"
#include "pipeline/stages/images/memory_budget.h"

namespace mmbatch {

/// The image files of a run. Each is read once: for its digest when an item is admitted, after which the
/// bytes are kept for the encoder as long as they fit into the budget. A file whose digest is known by its
/// stamp is read for the encoder only. Thread-safe.
class ImageFiles {
 public:
  struct Options {
    MediaLimits media;
    std::size_t memory_bytes = std::size_t{512} << 20;  // encoded and decoded, in flight, over all threads
  };
  /// @param known digests of this run and of earlier ones; outlives this
  ImageFiles(DigestCache& known, const Options& options);

  /// SHA-256 (hex) of an image's bytes; may wait for memory.  @throws ItemError as read_image()
  std::string digest(const Item::Image& image, const Deadline& deadline);

  struct Bytes {
    std::vector<unsigned char> bytes;
    MemoryBudget::Lease memory;  // to be grown for decoding
  };
  /// The bytes of an image with this digest, as they were kept or read anew; may wait for memory.
  /// @throws ItemError as read_image()
  Bytes take(const Item::Image& image, const std::string& sha256, const Deadline& deadline);
  /// The bytes of these images are needed no longer.
  void drop(const std::vector<std::string>& sha256);

 private:
  /// The limits for one image, which put what is read into `memory`.
  MediaLimits limits(const Deadline& deadline, MemoryBudget::Lease& memory);
  std::mutex& reader_of(const Item::Image& image);
  void keep(const std::string& sha256, Bytes bytes);

  const MediaLimits media_;
  MemoryBudget budget_;
  DigestCache& known_;
  std::array<std::mutex, 61> readers_;  // by path: who else wants a file waits until it is read

  std::mutex mutex_;
  std::unordered_map<std::string, Bytes> kept_;  // guarded by mutex_; by digest
};

}  // namespace mmbatch
