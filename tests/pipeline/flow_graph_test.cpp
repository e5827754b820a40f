#include "pipeline/flow_graph.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "engine/base/threads.h"

namespace mmbatch {
namespace {

/// Stages without a model: items fail in the stage that their number picks, and threads of their own answer.
class FakeStages {
 public:
  explicit FakeStages(std::uint64_t items) : items_(items) {}
  ~FakeStages() {
    for (std::thread& thread : threads_) thread.join();
  }

  FlowStages stages() {
    FlowStages s;
    s.read = [this]() -> std::optional<ReadItem> {
      if (next_ == items_) return {};
      ReadItem read;
      read.item.position = next_++;
      if (read.item.position % 11 == 3) read.error = Error{Stage::read, ErrorCode::invalid_item, "read"};
      largest_in_flight_ = std::max<std::uint64_t>(largest_in_flight_, next_ - stored_);
      return read;
    };
    s.admit = [](ReadItem read) {
      auto admitted = std::make_shared<Admitted>();
      admitted->number = read.item.position;
      admitted->item = std::move(read.item);
      admitted->error = std::move(read.error);
      return Ticket(admitted);
    };
    s.encode_image = [this](Ticket ticket, EncodeImage::Done done) {
      Result<std::vector<EncodedImage>> images = std::vector<EncodedImage>{};
      if (ticket->number % 7 == 2) images = Error{Stage::image, ErrorCode::image_missing, "image"};
      if (ticket->number % 3 != 0) return done({ticket, images, 0});
      in_background([ticket, images, done] { done({ticket, images, 0}); });
    };
    s.encode_text = [](const Ticket& ticket) {
      Result<std::vector<std::int32_t>> ids = std::vector<std::int32_t>{1};
      if (ticket->number % 5 == 4) ids = Error{Stage::text, ErrorCode::prompt_empty, "text"};
      return TextEncoded{ticket, ids, 0};
    };
    s.fuse = [](const ImagesEncoded& images, const TextEncoded& text) {
      EXPECT_EQ(images.ticket, text.ticket);
      Fused fused{text.ticket, std::make_shared<const Prompt>(), {}};
      if (text.ticket->error)
        fused.prompt = *text.ticket->error;
      else if (!images.images)
        fused.prompt = images.images.error();
      else if (!text.ids)
        fused.prompt = text.ids.error();
      return fused;
    };
    s.decode = [this](Fused fused, Decode::Done done) {
      if (!fused.prompt) return done({fused.ticket, fused.prompt.error(), {}});
      in_background([fused, done] { done({fused.ticket, Completion{}, {}}); });
    };
    s.store = [this](const Decoded& decoded) {
      ++stored_;
      EXPECT_TRUE(seen_.insert(decoded.ticket->number).second) << "stored twice";
      if (!decoded.completion) ++failures_[decoded.completion.error().message];
      if (fail_store_at_ == stored_) throw DatabaseError("disk full");
    };
    return s;
  }

  void in_background(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    threads_.emplace_back(std::move(work));
  }

  const std::uint64_t items_;
  std::uint64_t next_ = 0;
  std::atomic<std::uint64_t> stored_{0};
  std::atomic<std::uint64_t> largest_in_flight_{0};
  std::uint64_t fail_store_at_ = 0;
  std::set<std::uint64_t> seen_;
  std::map<std::string, int> failures_;
  std::mutex mutex_;
  std::vector<std::thread> threads_;
};

TEST(FlowGraph, EveryItemIsStoredOnceWhateverFails) {
  Arena arena(2);
  FakeStages fake(500);
  std::atomic<bool> stop{false};
  arena.run([&] { run_flow_graph(fake.stages(), 16, stop); });
  EXPECT_EQ(fake.seen_.size(), 500u);
  EXPECT_EQ(fake.failures_["read"], 46);
  EXPECT_GT(fake.failures_["image"], 0);
  EXPECT_GT(fake.failures_["text"], 0);
  EXPECT_LE(fake.largest_in_flight_, 17u);  // 16 let in, and one read ahead
}

TEST(FlowGraph, StopsReadingButFinishesWhatIsInFlight) {
  Arena arena(2);
  FakeStages fake(1000000);
  std::atomic<bool> stop{false};
  FlowStages stages = fake.stages();
  stages.store = [&, store = stages.store](const Decoded& decoded) {
    store(decoded);
    if (fake.stored_ == 40) stop = true;
  };
  arena.run([&] { run_flow_graph(stages, 8, stop); });
  EXPECT_EQ(fake.seen_.size(), fake.next_);
  EXPECT_GE(fake.seen_.size(), 40u);
  EXPECT_LT(fake.seen_.size(), 100u);
}

TEST(FlowGraph, AStoreThatCannotWriteEndsTheRunWithItsError) {
  Arena arena(2);
  FakeStages fake(1000000);
  fake.fail_store_at_ = 20;
  std::atomic<bool> stop{false};
  const auto run = [&] { arena.run([&] { run_flow_graph(fake.stages(), 8, stop); }); };
  EXPECT_THROW(run(), DatabaseError);
  EXPECT_EQ(fake.stored_, 20u);
}

TEST(FlowGraph, NoItemsIsNoWork) {
  Arena arena(1);
  FakeStages fake(0);
  std::atomic<bool> stop{false};
  arena.run([&] { run_flow_graph(fake.stages(), 8, stop); });
  EXPECT_TRUE(fake.seen_.empty());
}

}  // namespace
}  // namespace mmbatch
