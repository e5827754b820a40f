#include <gtest/gtest.h>

#include <map>

#include "tests/engine/serve/engine_harness.h"

namespace mmbatch {
namespace {

using testing::prompt_of;
using testing::tiny_decoder;

const Error kTimeout{ErrorCode::timeout, "took too long"};

/// An engine and how often each of its requests ended, and how.
class Office {
 public:
  explicit Office(std::size_t max_sequences = 4) {
    EngineOptions options = testing::small_cache();
    options.scheduler.max_sequences = max_sequences;
    engine_ = std::make_unique<Engine>(tiny_decoder(), testing::tiny_vocabulary(), options);
  }

  Engine& engine() { return *engine_; }
  RequestId submit(int new_tokens, int beams = 1, std::function<void()> on_token = {}) {
    Request request;
    request.prompt = prompt_of(std::vector<std::int32_t>(40, 11));
    request.generation.max_new_tokens = new_tokens;
    request.generation.ignore_eos = true;
    request.generation.num_beams = beams;
    if (on_token) request.on_token = [on_token](std::size_t, std::int32_t) { on_token(); };
    const std::size_t number = ends_.size();
    ends_.emplace_back();
    request.on_done = [this, number](Result<Completion> done) {
      ends_[number].push_back(done ? "answered" : std::string(to_string(done.error().code)));
    };
    return engine_->submit(std::move(request));
  }
  void run() {
    while (engine_->step()) {
    }
    EXPECT_TRUE(engine_->idle());
    EXPECT_EQ(engine_->stats().kv_bytes_used, 0u);
  }
  /// How the requests ended, in order of submission.
  const std::vector<std::vector<std::string>>& ends() const { return ends_; }

 private:
  std::unique_ptr<Engine> engine_;
  std::vector<std::vector<std::string>> ends_;
};

using Ends = std::vector<std::vector<std::string>>;

TEST(Cancel, FreesTheBlocksAtOnce) {
  for (const int beams : {1, 3}) {
    Office office;
    const RequestId id = office.submit(50, beams);
    for (int i = 0; i < 5; ++i) office.engine().step();
    EXPECT_GT(office.engine().stats().kv_bytes_used, 0u);
    office.engine().cancel(id, kTimeout);
    EXPECT_EQ(office.engine().stats().kv_bytes_used, 0u);
    EXPECT_TRUE(office.engine().idle());
    EXPECT_EQ(office.ends(), Ends{{"timeout"}});
  }
}

TEST(Cancel, OthersGoOn) {
  Office office(2);
  office.submit(20);
  const RequestId running = office.submit(20);
  const RequestId waiting = office.submit(20);
  office.submit(20);
  office.engine().step();
  office.engine().step();
  office.engine().cancel(waiting, {ErrorCode::internal, "not wanted"});
  office.engine().cancel(running, kTimeout);
  office.run();
  EXPECT_EQ(office.ends(), (Ends{{"answered"}, {"timeout"}, {"internal"}, {"answered"}}));
}

TEST(Cancel, FromACallbackHoldsWhenTheStepEnds) {
  Office office;
  RequestId itself = 0;
  int tokens = 0;
  const RequestId other = office.submit(30);
  itself = office.submit(30, 1, [&] {
    if (++tokens != 3) return;
    office.engine().cancel(itself, kTimeout);
    office.engine().cancel(other, kTimeout);
  });
  office.run();
  EXPECT_EQ(tokens, 3);
  EXPECT_EQ(office.ends(), (Ends{{"timeout"}, {"timeout"}}));
}

TEST(Cancel, FinishedAndUnknownRequestsAreLeftAlone) {
  Office office;
  const RequestId id = office.submit(3);
  office.run();
  office.engine().cancel(id, kTimeout);
  office.engine().cancel(id + 100, kTimeout);
  EXPECT_EQ(office.ends(), Ends{{"answered"}});
}

}  // namespace
}  // namespace mmbatch
