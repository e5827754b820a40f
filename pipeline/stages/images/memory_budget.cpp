#include "pipeline/stages/images/memory_budget.h"

#include <algorithm>
#include <utility>

namespace mmbatch {

MemoryBudget::Lease::Lease(Lease&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      use_(std::exchange(other.use_, Use::nothing)) {}

MemoryBudget::Lease& MemoryBudget::Lease::operator=(Lease&& other) noexcept {
  if (this == &other) return *this;
  release();
  budget_ = std::exchange(other.budget_, nullptr);
  bytes_ = std::exchange(other.bytes_, 0);
  use_ = std::exchange(other.use_, Use::nothing);
  return *this;
}

MemoryBudget::Lease MemoryBudget::take(std::size_t bytes) {
  Lease lease;
  lease.bytes_ = std::min(bytes, limit_);
  std::unique_lock lock(mutex_);
  // Files that wait for memory to be decoded in take no more than half of it.
  const auto fits = [&] { return used_ + lease.bytes_ <= limit_ && reading_ + lease.bytes_ <= limit_ / 2; };
  changed_.wait(lock, [&] { return at_work_ == 0 || fits(); });
  used_ += lease.bytes_;
  reading_ += lease.bytes_;
  ++at_work_;
  lease.budget_ = this;
  lease.use_ = Lease::Use::reading;
  return lease;
}

void MemoryBudget::Lease::grow(std::size_t bytes) {
  MemoryBudget& budget = *budget_;
  std::unique_lock lock(budget.mutex_);
  if (use_ == Use::idle) {
    budget.idle_ -= bytes_;
    budget.reading_ += bytes_;
    ++budget.at_work_;
    use_ = Use::reading;
  }
  bytes = std::min(bytes, budget.limit_);
  budget.changed_.wait(lock, [&] { return budget.used_ + bytes <= budget.limit_ || budget.decoding_ == 0; });
  if (use_ == Use::reading) {
    ++budget.decoding_;
    budget.reading_ -= bytes_;
  }
  budget.used_ += bytes;
  bytes_ += bytes;
  use_ = Use::decoding;
  lock.unlock();
  budget.changed_.notify_all();  // less is being read
}

void MemoryBudget::Lease::settle(std::size_t bytes) {
  MemoryBudget& budget = *budget_;
  {
    const std::lock_guard lock(budget.mutex_);
    budget.leave(*this);
    budget.used_ += bytes;
    budget.used_ -= bytes_;
    budget.idle_ += bytes;
    bytes_ = bytes;
    use_ = Use::idle;
  }
  budget.changed_.notify_all();
}

bool MemoryBudget::Lease::settle_within(double share) {
  if (!budget_->has_room_for_idle(bytes_, share)) return release(), false;
  settle(bytes_);
  return true;
}

void MemoryBudget::Lease::release() {
  if (budget_ == nullptr) return;
  {
    const std::lock_guard lock(budget_->mutex_);
    budget_->leave(*this);
    budget_->used_ -= bytes_;
  }
  budget_->changed_.notify_all();
  budget_ = nullptr;
  bytes_ = 0;
  use_ = Use::nothing;
}

void MemoryBudget::leave(const Lease& lease) {
  using Use = Lease::Use;
  if (lease.use_ == Use::idle) idle_ -= lease.bytes_;
  if (lease.use_ == Use::reading) reading_ -= lease.bytes_;
  if (lease.use_ == Use::decoding) --decoding_;
  if (lease.use_ == Use::decoding || lease.use_ == Use::reading) --at_work_;
}

bool MemoryBudget::has_room_for_idle(std::size_t bytes, double share) const {
  const std::lock_guard lock(mutex_);
  return static_cast<double>(idle_ + bytes) <= static_cast<double>(limit_) * share;
}

std::size_t MemoryBudget::used() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

}  // namespace mmbatch
