#include "bench/waves.h"

#include "pipeline/graph/flow_graph.h"

namespace mmbatch::bench {

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

void Waves::decode(const Fused& fused, Done<Outcome> done) {
  std::unique_lock lock(mutex_);
  held_.emplace_back(fused, std::move(done));
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
  for (auto& [fused, done] : wave) decode_(fused, std::move(done));
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

namespace {

/// The stage, which tells the waves when an item goes past the decoder: it has its outcome, or the stage
/// threw.
template <class Result, class... Inputs>
std::function<Result(const Inputs&...)> telling(Waves& waves, std::function<Result(const Inputs&...)> stage) {
  return [&waves, stage = std::move(stage)](const Inputs&... inputs) {
    try {
      Result result = stage(inputs...);
      if (std::holds_alternative<Outcome>(result)) waves.pass();
      return result;
    } catch (...) {
      waves.pass();
      throw;
    }
  };
}

}  // namespace

void run_in_waves(const FlowStages& all, std::size_t in_flight, const std::atomic<bool>& stop) {
  Waves waves(in_flight, stop, all.read, all.decode);
  FlowStages stages = all;
  stages.read = [&] { return waves.read(); };
  stages.end_reading = [&] { waves.end(); };
  stages.admit = telling(waves, all.admit);
  stages.fuse = telling(waves, all.fuse);
  stages.decode = [&](const Fused& fused, Done<Outcome> done) { waves.decode(fused, std::move(done)); };
  const std::atomic<bool> never{false};
  do {
    run_flow_graph(stages, in_flight, never);
  } while (waves.next());
}

}  // namespace mmbatch::bench
