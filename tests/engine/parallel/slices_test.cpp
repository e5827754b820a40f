#include "engine/parallel/slices.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <thread>

#include "engine/base/error.h"
#include "engine/parallel/message.h"
#include "tests/engine/parallel/threads_as_processes.h"

namespace mmbatch {
namespace {

constexpr std::size_t kSlices = 8, kCount = 20'001;

/// What a slice made: numbers of very different sizes, whose sum depends on the order.
std::vector<float> made_by(std::size_t slice) {
  std::mt19937 random(static_cast<unsigned>(slice));
  std::normal_distribution<float> normal;
  std::vector<float> values(kCount);
  for (float& value : values) value = normal(random) * std::exp(3 * normal(random));
  return values;
}

std::vector<float> sum_by(std::size_t processes) {
  std::vector<float> sum;
  std::mutex mutex;
  testing::as_processes(processes, [&](const std::shared_ptr<Communicator>& own) {
    const Slices slices(kSlices, own);
    std::vector<float> made, others(processes * kCount);
    for (std::size_t i = slices.first(); i < slices.first() + slices.here(); ++i) {
      const std::vector<float> one = made_by(i);
      made.insert(made.end(), one.begin(), one.end());
    }
    const float* const found = slices.sum(made.data(), kCount, others.data());
    const std::vector<float> result(found, found + kCount);
    const std::scoped_lock lock(mutex);
    if (sum.empty()) sum = result;
    EXPECT_EQ(std::memcmp(sum.data(), result.data(), kCount * sizeof(float)), 0) << "process " << own->rank();
  });
  return sum;
}

TEST(Slices, TheSumHasTheSameBitsWhoeverHoldsThem) {
  const std::vector<float> alone = sum_by(1);
  for (const std::size_t processes : {2u, 4u, 8u}) {
    const std::vector<float> sum = sum_by(processes);
    EXPECT_EQ(std::memcmp(sum.data(), alone.data(), kCount * sizeof(float)), 0) << processes << " processes";
  }
  std::vector<double> exact(kCount);
  for (std::size_t slice = 0; slice < kSlices; ++slice) {
    const std::vector<float> made = made_by(slice);
    for (std::size_t i = 0; i < kCount; ++i) exact[i] += made[i];
  }
  double magnitude = 0;
  for (std::size_t i = 0; i < kCount; ++i) magnitude = std::max(magnitude, std::abs(exact[i]));
  for (std::size_t i = 0; i < kCount; ++i) ASSERT_NEAR(alone[i], exact[i], 1e-6 * magnitude);
}

TEST(Slices, RefusesNumbersThatCannotBeShared) {
  for (const std::size_t count : {3u, 6u, 0u}) EXPECT_THROW(Slices(count, no_others()), UsageError) << count;
  testing::as_processes(2, [](const std::shared_ptr<Communicator>& own) {
    EXPECT_THROW(Slices(1, own), UsageError);
    EXPECT_EQ(Slices(4, own).here(), 2u);
    EXPECT_EQ(Slices(4, own).first(), 2 * own->rank());
  });
}

/// Adds a number that it is told, and what the others have.
class Adding final : public SharedWork {
 public:
  explicit Adding(const Slices& slices) : slices_(slices) {}
  void follow(MessageReader& message) const override { sum = add(message.take<float>()); }
  std::size_t bytes() const override { return 0; }
  float add(float told) const {
    std::vector<float> own{told + static_cast<float>(slices_.first())}, others(slices_.processes().size());
    return *slices_.sum(own.data(), 1, others.data());
  }
  mutable float sum = 0;

 private:
  const Slices& slices_;
};

TEST(Slices, WorkIsDoneByAllProcessesOneThreadOfRankZeroAfterTheOther) {
  constexpr int kThreads = 4, kTimes = 50;
  testing::as_processes(4, [](const std::shared_ptr<Communicator>& own) {
    const Slices slices(4, own);
    const auto work = std::make_shared<const Adding>(slices);
    slices.share("adding", work);
    if (own->rank() > 0) {
      for (int i = 0; i < kThreads * kTimes; ++i) slices.follow(MessageReader(own->receive()));
      return;
    }
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < kTimes; ++i) {
          const auto told = static_cast<float>(thread * kTimes + i);
          float sum = 0;
          slices.together(
              [&] {
                MessageWriter message = Slices::message_to("adding");
                message.put(told);
                return message;
              },
              [&] { sum = work->add(told); });
          EXPECT_EQ(sum, 4 * told + 6);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
}

TEST(Slices, WorkThatIsNotHereEndsAll) {
  testing::as_processes(1, [](const std::shared_ptr<Communicator>& own) {
    const Slices slices(4, own);
    slices.share("gone", std::make_shared<const Adding>(slices));
    for (const char* name : {"gone", "never"}) {
      const MessageWriter message = Slices::message_to(name);
      EXPECT_THROW(slices.follow(MessageReader(message.bytes())), std::runtime_error) << name;
    }
  });
}

TEST(Message, WhatIsPutInComesOutAndNothingIsReadBehindItsEnd) {
  MessageWriter writer(MessageKind::load);
  writer.put(std::string("a/b"));
  writer.put(std::vector<int>{1, 2, 3});
  writer.put(7.5);
  MessageReader reader(writer.bytes());
  EXPECT_EQ(reader.kind(), MessageKind::load);
  EXPECT_EQ(reader.take_text(), "a/b");
  EXPECT_EQ(reader.take_all<int>(), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(reader.take<double>(), 7.5);
  EXPECT_THROW(reader.take<char>(), std::length_error);
  MessageReader cut(writer.bytes().first(10));
  EXPECT_THROW(cut.take_text(), std::length_error);
}

}  // namespace
}  // namespace mmbatch
