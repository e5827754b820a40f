#include "pipeline/graph/flow_graph.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "engine/base/threads.h"
#include "jobs/results/database_error.h"

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
      auto item = std::make_shared<Item>();
      item->position = next_++;
      ReadItem read{item, {}};
      if (item->position % 11 == 3) read.error = ReadError{ErrorCode::invalid_item, "read", "here"};
      largest_in_flight_ = std::max<std::uint64_t>(largest_in_flight_, next_ - stored_);
      return read;
    };
    s.admit = [](const ReadItem& read) -> Admission {
      auto ticket = std::make_shared<Ticket>();
      ticket->number = read.item->position;
      ticket->item = read.item;
      if (read.error) return Outcome{ticket, Failed{Stage::read, read.error->with_place()}};
      if (ticket->number % 17 == 6) return Outcome{ticket, KnownBefore{Known::answered}};
      return TicketPtr(ticket);
    };
    s.encode_images = [this](const TicketPtr& ticket, Done<Branch<Images>> done) {
      ++encoded_;
      Branch<Images> images = made(Images{});
      if (ticket->number % 7 == 2) images = Failed{Stage::preprocess, {ErrorCode::image_missing, "image"}};
      if (ticket->number % 3 != 0) return done(images);
      in_background([images, done] { done(images); });
    };
    s.encode_text = [this](const TicketPtr& ticket, Done<Branch<EncodedText>> done) {
      Branch<EncodedText> text = made(EncodedText{{1}, {}});
      // An item's own error may have any words.
      if (ticket->number % 5 == 4) text = Failed{Stage::encode_text, {ErrorCode::internal, "the run ends"}};
      if (ticket->number % 4 != 0) return done(text);
      in_background([text, done] { done(text); });
    };
    s.fuse = [](const ImagesEncoded& images, const TextEncoded& text) -> std::variant<Fused, Outcome> {
      EXPECT_EQ(images.ticket, text.ticket);
      const TicketPtr& ticket = text.ticket;
      if (std::holds_alternative<Abandoned>(images.value) || std::holds_alternative<Abandoned>(text.value))
        return Outcome{ticket, Abandoned{}};
      if (const auto* failed = std::get_if<Failed>(&images.value)) return Outcome{ticket, *failed};
      if (const auto* failed = std::get_if<Failed>(&text.value)) return Outcome{ticket, *failed};
      if (ticket->number % 13 == 5) return Outcome{ticket, answered(Matched{})};
      return Fused{ticket, std::make_shared<const Prompt>()};
    };
    s.decode = [this](const Fused& fused, Done<Outcome> done) {
      ++decoded_;
      in_background([ticket = fused.ticket, done] { done({ticket, answered(Completion{})}); });
    };
    s.store = [this](const Outcome& outcome) {
      ++stored_;
      EXPECT_TRUE(seen_.insert(outcome.ticket->number).second) << "stored twice";
      if (const auto* failed = std::get_if<Failed>(&outcome.end))
        ++failures_[failed->error.message];
      else if (const auto* answered = std::get_if<Answered>(&outcome.end))
        matched_ += std::holds_alternative<Matched>(*answered->answer);
      else
        ++known_;
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
  std::atomic<int> decoded_{0};
  std::atomic<int> encoded_{0};
  int matched_ = 0, known_ = 0;
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
  EXPECT_EQ(fake.failures_["here: read"], 46);
  EXPECT_GT(fake.failures_["image"], 0);
  EXPECT_GT(fake.failures_["the run ends"], 0) << "no words of an error keep it from being stored";
  EXPECT_GT(fake.matched_, 0);
  EXPECT_EQ(fake.known_, 27);
  EXPECT_EQ(fake.encoded_, 500 - 46 - 27) << "what is settled goes past the branches";
  int failed = 0;
  for (const auto& [message, count] : fake.failures_) failed += count;
  EXPECT_EQ(fake.decoded_ + fake.matched_ + fake.known_ + failed, 500);  // nothing else comes to the decoder
  EXPECT_LE(fake.largest_in_flight_, 17u);                               // 16 let in, and one read ahead
}

TEST(FlowGraph, StopsReadingButFinishesWhatIsInFlight) {
  Arena arena(2);
  FakeStages fake(1000000);
  std::atomic<bool> stop{false};
  FlowStages stages = fake.stages();
  stages.store = [&, store = stages.store](const Outcome& outcome) {
    store(outcome);
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

TEST(FlowGraph, AFatalFaultInAnyStageEndsTheRunAndLosesNothingElse) {
  const std::map<std::string, std::function<void(FlowStages&, std::atomic<int>&)>> faults = {
      {"read",
       [](FlowStages& s, std::atomic<int>& calls) {
         s.read = [&calls, inner = s.read] {
           if (++calls == 40) throw UsageError("read");
           return inner();
         };
       }},
      {"admit",
       [](FlowStages& s, std::atomic<int>& calls) {
         s.admit = [&calls, inner = s.admit](const ReadItem& item) {
           if (++calls == 40) throw DatabaseError("admit");
           return inner(item);
         };
       }},
      {"encode_images",
       [](FlowStages& s, std::atomic<int>& calls) {
         s.encode_images = [&calls, inner = s.encode_images](const TicketPtr& ticket,
                                                             Done<Branch<Images>> done) {
           if (++calls == 40) throw ModelError("encode_images");
           inner(ticket, std::move(done));
         };
       }},
      {"encode_text",
       [](FlowStages& s, std::atomic<int>& calls) {
         s.encode_text = [&calls, inner = s.encode_text](const TicketPtr& ticket,
                                                         Done<Branch<EncodedText>> done) {
           if (++calls == 40) throw UsageError("encode_text");
           inner(ticket, std::move(done));
         };
       }},
      {"fuse",
       [](FlowStages& s, std::atomic<int>& calls) {
         s.fuse = [&calls, inner = s.fuse](const ImagesEncoded& images, const TextEncoded& text) {
           if (++calls == 40) throw ModelError("fuse");
           return inner(images, text);
         };
       }},
      {"decode", [](FlowStages& s, std::atomic<int>& calls) {
         s.decode = [&calls, inner = s.decode](const Fused& fused, Done<Outcome> done) {
           if (++calls == 40) throw ModelError("decode");
           inner(fused, std::move(done));
         };
       }}};
  for (const auto& [stage, put_in] : faults) {
    Arena arena(2);
    FakeStages fake(1000000);
    std::atomic<bool> stop{false};
    std::atomic<int> calls{0};
    FlowStages stages = fake.stages();
    put_in(stages, calls);
    std::atomic<bool> ended{false};
    stages.end_reading = [&] { ended = true; };
    try {
      arena.run([&] { run_flow_graph(stages, 8, stop); });
      ADD_FAILURE() << stage << ": nothing was thrown";
    } catch (const FatalError& e) {
      EXPECT_EQ(e.what(), stage);
    }
    // Every item that was read is stored, but for the one.
    EXPECT_EQ(fake.seen_.size() + (stage == "read" ? 0 : 1), fake.next_) << stage;
    EXPECT_LT(fake.next_, 1000u) << stage;
    EXPECT_TRUE(ended) << stage;
  }
}

TEST(FlowGraph, AStageThatNeverAnswersEndsTheRunAndNothingHangs) {
  for (const char* stage : {"images", "text", "decode"}) {
    Arena arena(2);
    FakeStages fake(1000000);
    std::atomic<bool> stop{false};
    std::atomic<int> calls{0};
    const auto forgets = [&](const char* here) { return here == std::string(stage) && ++calls == 40; };
    FlowStages stages = fake.stages();
    stages.encode_images = [&, inner = stages.encode_images](const TicketPtr& ticket,
                                                             Done<Branch<Images>> done) {
      if (!forgets("images")) inner(ticket, std::move(done));
    };
    stages.encode_text = [&, inner = stages.encode_text](const TicketPtr& ticket,
                                                         Done<Branch<EncodedText>> done) {
      if (!forgets("text")) inner(ticket, std::move(done));
    };
    stages.decode = [&, inner = stages.decode](const Fused& fused, Done<Outcome> done) {
      if (!forgets("decode")) inner(fused, std::move(done));
    };
    const auto run = [&] { arena.run([&] { run_flow_graph(stages, 8, stop); }); };
    EXPECT_THROW(run(), FatalError) << stage;
    EXPECT_EQ(fake.seen_.size() + 1, fake.next_) << stage;
    EXPECT_LT(fake.next_, 1000u) << stage;
  }
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
