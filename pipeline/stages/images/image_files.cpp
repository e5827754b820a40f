#include "pipeline/stages/images/image_files.h"

#include <functional>
#include <utility>

namespace mmbatch {
namespace {

/// Of the budget, for bytes that wait for the encoder; the rest is for those at work.
constexpr double kKeptShare = 0.25;
/// Digests remembered within a run; then all are forgotten. Some 30 MB.
constexpr std::size_t kMostDigests = 100'000;

}  // namespace

std::optional<std::string> ImageFiles::Digests::find_digest(const FileStamp& stamp) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = by_path_.find(stamp.path);
    if (found != by_path_.end() && found->second.stamp == stamp) return found->second.sha256;
  }
  return known_.find_digest(stamp);
}

void ImageFiles::Digests::remember_digest(const FileStamp& stamp, const std::string& sha256) {
  {
    const std::lock_guard lock(mutex_);
    if (by_path_.size() >= kMostDigests) by_path_.clear();
    by_path_.insert_or_assign(stamp.path, Entry{stamp, sha256});
  }
  known_.remember_digest(stamp, sha256);
}

ImageFiles::ImageFiles(DigestCache& known, const Options& options)
    : media_(options.media), budget_(options.memory_bytes), digests_(known) {}

MediaLimits ImageFiles::limits(const Deadline& deadline, MemoryBudget::Lease& memory) {
  MediaLimits limits = media_;
  limits.deadline = deadline;
  limits.before_reading = [this, &deadline, &memory](std::size_t bytes) {
    memory.release();  // of an attempt before
    memory = budget_.take(bytes);
    deadline.check();
  };
  return limits;
}

std::mutex& ImageFiles::reader_of(const Item::Image& image) {
  const std::string& name = image.data.empty() ? image.path.native() : image.data;
  return readers_[std::hash<std::string>()(name) % readers_.size()];
}

std::string ImageFiles::digest(const Item::Image& image, const Deadline& deadline) {
  const std::lock_guard one_reader(reader_of(image));
  MemoryBudget::Lease memory;
  ImageDigest digest = digest_image(image, &digests_, limits(deadline, memory));
  if (digest.bytes) keep(digest.sha256, {std::move(*digest.bytes), std::move(memory)});
  return std::move(digest.sha256);
}

void ImageFiles::keep(const std::string& sha256, Bytes bytes) {
  if (!bytes.memory.settle_within(kKeptShare)) return;
  const std::lock_guard lock(mutex_);
  kept_.try_emplace(sha256, std::move(bytes));
}

ImageFiles::Bytes ImageFiles::take(const Item::Image& image, const std::string& sha256,
                                   const Deadline& deadline) {
  {
    const std::lock_guard lock(mutex_);
    if (auto kept = kept_.extract(sha256)) return std::move(kept.mapped());
  }
  Bytes read;
  read.bytes = read_image(image, limits(deadline, read.memory));
  return read;
}

void ImageFiles::drop(const std::vector<std::string>& sha256) {
  const std::lock_guard lock(mutex_);
  for (const std::string& one : sha256) kept_.erase(one);
}

}  // namespace mmbatch
