#include "pipeline/graph/waves.h"

namespace mmbatch {

Waves::Waves(std::size_t items, const std::atomic<bool>& stop, Read read, Decoding decode)
    : items_(items), stop_(stop), read_(std::move(read)), decode_(std::move(decode)) {}

std::optional<ReadItem> Waves::read() {
  std::optional<ReadItem> item;
  std::unique_lock lock(mutex_);
  try {
    if (!complete_ && !stop_) item = read_();
  } catch (...) {
    exhausted_ = complete_ = true;  // the run ends with it, but not before those at work are done
    release_if_complete(std::move(lock));
    throw;
  }
  exhausted_ = exhausted_ || (!complete_ && !item);
  if (item) ++count_;
  complete_ = !item || count_ == items_;
  release_if_complete(std::move(lock));
  return item;
}

void Waves::decode(Fused fused, Decode::Done done) {
  std::unique_lock lock(mutex_);
  held_.emplace_back(std::move(fused), std::move(done));
  release_if_complete(std::move(lock));
}

void Waves::pass() {
  std::unique_lock lock(mutex_);
  ++passed_;
  release_if_complete(std::move(lock));
}

void Waves::release_if_complete(std::unique_lock<std::mutex> lock) {
  if (!complete_ || held_.size() + passed_ < count_) return;
  auto wave = std::exchange(held_, {});
  lock.unlock();  // `done` may be called at once, and lead back here
  for (auto& [fused, done] : wave) decode_(std::move(fused), std::move(done));
}

void Waves::end() {
  std::unique_lock lock(mutex_);
  exhausted_ = complete_ = true;
  release_if_complete(std::move(lock));
}

bool Waves::next() {
  const std::lock_guard lock(mutex_);
  count_ = passed_ = 0;
  complete_ = false;
  return !exhausted_;
}

}  // namespace mmbatch
