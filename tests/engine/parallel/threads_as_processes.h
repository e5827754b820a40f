#pragma once

#include <barrier>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <queue>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "engine/parallel/communicator.h"

namespace mmbatch::testing {

/// What threads share that stand for processes.
struct SharedByThreads {
  explicit SharedByThreads(std::size_t size)
      : all(static_cast<std::ptrdiff_t>(size)), own(size), messages(size) {}
  std::barrier<> all;
  std::vector<const float*> own;
  std::mutex mutex;
  std::condition_variable arrived;
  std::vector<std::queue<std::vector<std::byte>>> messages;
};

/// A communicator whose processes are threads.
class ThreadAsProcess final : public Communicator {
 public:
  ThreadAsProcess(std::shared_ptr<SharedByThreads> shared, std::size_t rank)
      : shared_(std::move(shared)), rank_(rank) {}

  std::size_t rank() const override { return rank_; }
  std::size_t size() const override { return shared_->own.size(); }
  std::size_t size_here() const override { return size(); }
  void gather_everywhere(const float* own, std::size_t count, float* all) override {
    exchange(own, count, all);
  }
  void gather(const float* own, std::size_t count, float* all) override {
    exchange(own, count, rank_ == 0 ? all : nullptr);
  }
  void send(std::span<const std::byte> message) override {
    const std::scoped_lock lock(shared_->mutex);
    for (std::size_t to = 1; to < size(); ++to) shared_->messages[to].emplace(message.begin(), message.end());
    shared_->arrived.notify_all();
  }
  std::vector<std::byte> receive() override {
    std::unique_lock lock(shared_->mutex);
    auto& messages = shared_->messages[rank_];
    shared_->arrived.wait(lock, [&] { return !messages.empty(); });
    std::vector<std::byte> message = std::move(messages.front());
    messages.pop();
    return message;
  }
  [[noreturn]] void end_all(const std::string& why) override { throw std::runtime_error(why); }

 private:
  void exchange(const float* own, std::size_t count, float* all) {
    shared_->own[rank_] = own;
    shared_->all.arrive_and_wait();
    for (std::size_t from = 0; all != nullptr && from < size(); ++from)
      std::copy_n(shared_->own[from], count, all + from * count);
    shared_->all.arrive_and_wait();
  }

  std::shared_ptr<SharedByThreads> shared_;
  std::size_t rank_;
};

/// Calls work(communicator) on as many threads, each of which stands for a process.
inline void as_processes(std::size_t size,
                         const std::function<void(const std::shared_ptr<Communicator>&)>& work) {
  const auto shared = std::make_shared<SharedByThreads>(size);
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] { work(std::make_shared<ThreadAsProcess>(shared, rank)); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace mmbatch::testing
