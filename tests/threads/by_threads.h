#pragma once

#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "pipeline/graph/flow_graph.h"

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
  const auto wait_for = [](auto start) {
    using Message = typename decltype(start)::Message;
    const auto promise = std::make_shared<std::promise<Message>>();
    auto future = promise->get_future();
    start.call([promise](Message message) { promise->set_value(std::move(message)); });
    return future.get();
  };
  struct Images {
    using Message = ImagesEncoded;
    std::function<void(EncodeImage::Done)> call;
  };
  struct Text {
    using Message = TextEncoded;
    std::function<void(EmbedText::Done)> call;
  };
  struct Decoded {
    using Message = Outcome;
    std::function<void(Decode::Done)> call;
  };
  on_threads(threads, [&](int) {
    for (;;) {
      std::optional<ReadItem> item;
      {
        const std::lock_guard lock(reading);
        item = stages.read();
      }
      if (!item) return;
      const Ticket ticket = stages.admit(std::move(*item));
      const auto images = wait_for(Images{[&](auto done) { stages.encode_image(ticket, std::move(done)); }});
      const auto text = wait_for(Text{[&](auto done) { stages.encode_text(ticket, std::move(done)); }});
      auto fused = stages.fuse(images, text);
      const Outcome outcome = std::holds_alternative<Outcome>(fused)
                                  ? std::get<Outcome>(std::move(fused))
                                  : wait_for(Decoded{[&](auto done) {
                                      stages.decode(std::get<Fused>(std::move(fused)), std::move(done));
                                    }});
      const std::lock_guard lock(storing);
      stages.store(outcome);
    }
  });
}

}  // namespace mmbatch::testing
