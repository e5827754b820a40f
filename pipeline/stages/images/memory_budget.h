#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace mmbatch {

/// The memory that images may take on their way to the encoder, over all threads: who wants more than is left
/// waits. Thread-safe.
///
/// Nobody waits for ever, since a waiter needs nothing but that others end. An image that is larger than the
/// budget gets its memory when no other is being decoded. What lies idle, waiting for others to be used, is
/// counted, but never waited for.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t bytes) : limit_(bytes) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  /// Some memory of the budget, given back at the end of its life. Used by one thread at a time.
  class Lease {
   public:
    Lease() = default;
    ~Lease() { release(); }
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;

    /// For decoding, beside what it has already; may wait.
    void grow(std::size_t bytes);
    /// So much is kept, and is idle from now on.
    void settle(std::size_t bytes);
    /// Keeps all of it idle, unless more than `share` of the budget is.  @return false: it was given back
    bool settle_within(double share);
    void release();

   private:
    friend class MemoryBudget;
    enum class Use { nothing, reading, decoding, idle };
    MemoryBudget* budget_ = nullptr;
    std::size_t bytes_ = 0;
    Use use_ = Use::nothing;
  };

  /// For the bytes of a file; may wait.
  Lease take(std::size_t bytes);

  std::size_t used() const;

 private:
  bool has_room_for_idle(std::size_t bytes, double share) const;
  void leave(const Lease& lease);  // its part of the sums; with mutex_ held

  const std::size_t limit_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  std::size_t used_ = 0;                    // by all leases
  std::size_t reading_ = 0, idle_ = 0;      // of it, by those that read, and those that are idle
  std::size_t at_work_ = 0, decoding_ = 0;  // leases that read or decode, and those that decode
};

}  // namespace mmbatch
