#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/serve/schedule/scheduler.h"
#include "tests/engine/serve/fake_strategy.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using testing::FakeStrategy;

/// A scheduler that admits one request at a time, and the order in which it does.
class Queue {
 public:
  explicit Queue(SchedulerOptions options)
      : allocator_(1000), scheduler_(with_one_sequence(options), allocator_) {}

  /// @param image what the prompt's first block holds
  void add(std::uint64_t id, std::int32_t image) {
    auto prompt = std::make_shared<Prompt>();
    prompt->ids.assign(8, image);
    prompt->ids.push_back(static_cast<std::int32_t>(1000 + id));
    auto group = std::make_unique<SequenceGroup>();
    group->id = id;
    group->keys = content_keys(*prompt);
    group->max_tokens = prompt->tokens() + 1;
    group->request.prompt = std::move(prompt);
    group->strategy = std::make_unique<FakeStrategy>(FakeStrategy::sampling, 1, 1);
    group->sequences.push_back(std::make_unique<Sequence>());
    group->sequences.front()->group = group.get();
    scheduler_.add(std::move(group));
  }

  /// Admits the next request, computes it and ends it; its id, or 0 for none.
  std::uint64_t next() {
    const StepPlan plan = scheduler_.plan();
    if (plan.chunks.empty()) return 0;
    EXPECT_EQ(plan.chunks.size(), 1u);
    scheduler_.computed(plan.chunks.front());
    plan.chunks.front().sequence->finished = true;
    return scheduler_.take_finished()->id;
  }
  std::vector<std::uint64_t> all() {
    std::vector<std::uint64_t> ids;
    while (const std::uint64_t id = next()) ids.push_back(id);
    return ids;
  }

 private:
  static SchedulerOptions with_one_sequence(SchedulerOptions options) {
    options.max_sequences = 1;
    options.block_tokens = 4;
    return options;
  }
  BlockAllocator allocator_;
  Scheduler scheduler_;
};

TEST(Admission, RequestsAboutTheSameImageFollowEachOther) {
  Queue queue({});
  const std::int32_t images[] = {1, 2, 1, 3, 2, 1};
  for (std::uint64_t id = 1; id <= 6; ++id) queue.add(id, images[id - 1]);
  EXPECT_THAT(queue.all(), ElementsAre(1, 3, 6, 2, 5, 4));
}

TEST(Admission, OrderIsKeptWithoutSharingOrWindow) {
  for (const bool sharing : {true, false}) {
    SchedulerOptions options;
    options.prefix_sharing = sharing;
    if (sharing) options.admission_window = 1;
    Queue queue(options);
    const std::int32_t images[] = {1, 2, 1, 2};
    for (std::uint64_t id = 1; id <= 4; ++id) queue.add(id, images[id - 1]);
    EXPECT_THAT(queue.all(), ElementsAre(1, 2, 3, 4));
  }
}

TEST(Admission, TheWindowIsBounded) {
  SchedulerOptions options;
  options.admission_window = 3;
  Queue queue(options);
  const std::int32_t images[] = {1, 2, 3, 4, 1, 1};
  for (std::uint64_t id = 1; id <= 6; ++id) queue.add(id, images[id - 1]);
  // 5 and 6 come into the window only when two others are gone.
  EXPECT_EQ(queue.next(), 1u);
  EXPECT_EQ(queue.next(), 2u);
  EXPECT_EQ(queue.next(), 3u);
}

TEST(Admission, NobodyStarves) {
  SchedulerOptions options;
  options.admission_window = 5;
  Queue queue(options);
  queue.add(1, 1);
  queue.add(2, 2);
  std::uint64_t id = 3;
  for (; id < 6; ++id) queue.add(id, 1);
  EXPECT_EQ(queue.next(), 1u);
  std::size_t passed = 0;
  for (std::uint64_t next = queue.next(); next != 2; next = queue.next()) {
    ASSERT_LE(++passed, options.admission_window);
    queue.add(id++, 1);  // there is always another one about the first image
  }
  EXPECT_EQ(passed, options.admission_window);
}

}  // namespace
}  // namespace mmbatch
