#pragma once

#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "pipeline/graph/flow_stages.h"

namespace mmbatch::testing {

/// Starts threads and waits for them.
template <class Work>
void on_threads(int count, Work&& work) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&work, i] { work(i); });
  for (std::thread& thread : threads) thread.join();
}

/// What the flow graph does, by plain threads, whose every step ThreadSanitizer understands: each takes item
/// after item through all stages and waits where a stage answers later.
inline void run_by_threads(const FlowStages& stages, int threads) {
  std::mutex reading, storing;
  const auto branch = [](const TicketPtr& ticket, auto stage, auto encoded) {
    const auto promise = std::make_shared<std::promise<decltype(encoded.value)>>();
    auto future = promise->get_future();
    stage(ticket, [promise](auto value) { promise->set_value(std::move(value)); });
    encoded.ticket = ticket;
    encoded.value = future.get();
    return encoded;
  };
  const auto decode = [&](const Fused& fused) {
    const auto promise = std::make_shared<std::promise<Outcome>>();
    auto future = promise->get_future();
    stages.decode(fused, [promise](Outcome outcome) { promise->set_value(std::move(outcome)); });
    return future.get();
  };
  const auto outcome_of = [&](const ReadItem& item) {
    auto admission = stages.admit(item);
    if (auto* settled = std::get_if<Outcome>(&admission)) return std::move(*settled);
    const TicketPtr ticket = std::get<TicketPtr>(admission);
    const auto images = branch(ticket, stages.encode_images, ImagesEncoded{});
    auto fused = stages.fuse(images, branch(ticket, stages.encode_text, TextEncoded{}));
    if (auto* outcome = std::get_if<Outcome>(&fused)) return std::move(*outcome);
    return decode(std::get<Fused>(fused));
  };
  on_threads(threads, [&](int) {
    for (;;) {
      std::optional<ReadItem> item;
      {
        const std::lock_guard lock(reading);
        item = stages.read();
      }
      if (!item) return;
      const Outcome outcome = outcome_of(*item);
      const std::lock_guard lock(storing);
      stages.store(outcome);
    }
  });
}

}  // namespace mmbatch::testing
