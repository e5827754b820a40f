#include "bench/waves.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace mmbatch::bench {
namespace {

/// Reads this many items; notes what is decoded.
struct Items {
  std::size_t left;
  std::size_t decoded = 0;
  std::atomic<bool> stop{false};
  Waves waves;

  Items(std::size_t count, std::size_t wave)
      : left(count),
        waves(
            wave, stop, [this] { return next(); }, [this](const Fused&, Done<Outcome>) { ++decoded; }) {}

  std::optional<ReadItem> next() {
    if (left == 0) return {};
    --left;
    return ReadItem{std::make_shared<const Item>(), {}};
  }
};

TEST(Waves, NothingIsDecodedBeforeItsWholeWaveIsFused) {
  Items items(5, 3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(items.waves.read());
  EXPECT_FALSE(items.waves.read());
  for (int i = 0; i < 2; ++i) items.waves.decode({}, {});
  EXPECT_EQ(items.decoded, 0u);
  items.waves.decode({}, {});
  EXPECT_EQ(items.decoded, 3u);

  ASSERT_TRUE(items.waves.next());
  EXPECT_TRUE(items.waves.read());
  items.waves.decode({}, {});
  EXPECT_EQ(items.decoded, 3u) << "more may still be read";
  EXPECT_TRUE(items.waves.read());
  EXPECT_FALSE(items.waves.read());
  items.waves.decode({}, {});
  EXPECT_EQ(items.decoded, 5u);
  EXPECT_FALSE(items.waves.next());
}

TEST(Waves, WhatNeedsNoDecodingIsNotWaitedFor) {
  Items items(4, 2);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(items.waves.read());
  items.waves.decode({}, {});
  EXPECT_EQ(items.decoded, 0u);
  items.waves.pass();
  EXPECT_EQ(items.decoded, 1u);
  ASSERT_TRUE(items.waves.next());
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(items.waves.read());
  items.waves.decode({}, {});
  EXPECT_EQ(items.decoded, 1u) << "those that passed were of the wave before";
  items.waves.decode({}, {});
  EXPECT_EQ(items.decoded, 3u);
}

TEST(Waves, StoppingFinishesWhatWasRead) {
  Items items(9, 5);
  EXPECT_TRUE(items.waves.read());
  items.waves.decode({}, {});
  items.stop = true;
  EXPECT_FALSE(items.waves.read());
  EXPECT_EQ(items.decoded, 1u);
  EXPECT_FALSE(items.waves.next());
}

TEST(Waves, AnEndReleasesThoseThatAreHeld) {
  Items items(9, 5);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(items.waves.read());
  items.waves.decode({}, {});
  items.waves.end();
  EXPECT_EQ(items.decoded, 0u) << "one is still on its way";
  items.waves.decode({}, {});
  EXPECT_EQ(items.decoded, 2u);
  items.waves.end();
  EXPECT_FALSE(items.waves.read());
  EXPECT_FALSE(items.waves.next());
}

TEST(Waves, AFaultOfTheReaderReleasesThoseThatAreHeld) {
  bool broken = false;
  std::size_t decoded = 0;
  const std::atomic<bool> never{false};
  Waves waves(
      4, never,
      [&]() -> std::optional<ReadItem> {
        if (broken) throw std::runtime_error("gone");
        return ReadItem{std::make_shared<const Item>(), {}};
      },
      [&](const Fused&, Done<Outcome>) { ++decoded; });
  EXPECT_TRUE(waves.read());
  waves.decode({}, {});
  broken = true;
  EXPECT_THROW(waves.read(), std::runtime_error);
  EXPECT_EQ(decoded, 1u);
  EXPECT_FALSE(waves.next());
}

}  // namespace
}  // namespace mmbatch::bench
