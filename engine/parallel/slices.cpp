#include "engine/parallel/slices.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <chrono>
#include <exception>
#include <stdexcept>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/threads.h"

namespace mmbatch {
namespace {

/// Adds what time its life takes.
class Stopwatch {
 public:
  explicit Stopwatch(std::atomic<double>& seconds) : seconds_(seconds) {}
  ~Stopwatch() {
    seconds_ = seconds_ + std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  std::atomic<double>& seconds_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// parts[0] becomes the sum of `parts` vectors, as a tree of pairs.
void add_in_pairs(float* vectors, std::size_t parts, std::size_t count) {
  constexpr std::size_t kBlock = 8192;
  parallel_tiles((count + kBlock - 1) / kBlock, [&](std::size_t block) {
    const std::size_t begin = block * kBlock, end = std::min(count, begin + kBlock);
    for (std::size_t step = 1; step < parts; step *= 2) {
      for (std::size_t left = 0; left < parts; left += 2 * step) {
        float* sum = vectors + left * count;
        const float* added = vectors + (left + step) * count;
        for (std::size_t i = begin; i < end; ++i) sum[i] += added[i];
      }
    }
  });
}

}  // namespace

Slices::Slices(std::size_t count, std::shared_ptr<Communicator> processes)
    : count_(count), processes_(std::move(processes)) {
  if (std::has_single_bit(count) && count % processes_->size() == 0) return;
  throw UsageError(fmt::format(
      "--tensor-parallel {}: must be 1, 2, 4, 8 or another power of two, and a multiple of the number of "
      "processes, which is {}",
      count, processes_->size()));
}

float* Slices::sum(float* made, std::size_t count, float* others) const {
  add_in_pairs(made, here(), count);
  if (processes_->size() == 1) return made;
  {
    const Stopwatch watch(seconds_);
    processes_->gather_everywhere(made, count, others);
  }
  add_in_pairs(others, processes_->size(), count);
  return others;
}

void Slices::together(const std::function<MessageWriter()>& message, const std::function<void()>& own) const {
  if (processes_->size() == 1) return own();
  const std::scoped_lock lock(turn_);
  try {
    if (processes_->rank() == 0) processes_->send(message().bytes());
    own();
  } catch (const std::exception& e) {
    processes_->end_all(e.what());  // they wait for this one
    throw;
  }
}

void Slices::share(const std::string& name, const std::shared_ptr<const SharedWork>& work) const {
  const std::scoped_lock lock(mutex_);
  shared_[name] = work;
}

MessageWriter Slices::message_to(const std::string& name) {
  MessageWriter message(MessageKind::work);
  message.put(name);
  return message;
}

void Slices::follow(MessageReader message) const {
  const std::string name = message.take_text();
  std::shared_ptr<const SharedWork> work;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = shared_.find(name);
    if (found != shared_.end()) work = found->second.lock();
  }
  if (!work) processes_->end_all(fmt::format("there is no part of '{}' here", name));
  work->follow(message);
}

void Slices::gather(MatrixView<const float> made, float* all) const {
  assert(made.stride == made.cols);
  const std::size_t count = made.rows * made.cols;
  if (processes_->size() == 1) return static_cast<void>(std::copy_n(made.data, count, all));
  const Stopwatch watch(seconds_);
  processes_->gather(made.data, count, all);
}

}  // namespace mmbatch
