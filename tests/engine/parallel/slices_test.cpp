#include "engine/parallel/slices.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

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
