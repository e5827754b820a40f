#include "pipeline/stages/images/image_files.h"

#include <functional>
#include <utility>

namespace mmbatch {
namespace {

/// Of the budget, for bytes that wait for the encoder; the rest is for those at work.
constexpr double kKeptShare = 0.25;

}  // namespace

ImageFiles::ImageFiles(DigestCache& known, const Options& options)
    : media_(options.media), budget_(options.memory_bytes), known_(known) {}

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
  const std::string& name = image.bytes          ? image.written
                            : image.data.empty() ? image.path.native()
                                                 : image.data;
  return readers_[std::hash<std::string>()(name) % readers_.size()];
}

std::string ImageFiles::digest(const Item::Image& image, const Deadline& deadline) {
  const std::lock_guard one_reader(reader_of(image));
  MemoryBudget::Lease memory;
  ImageDigest digest = digest_image(image, &known_, limits(deadline, memory));
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
