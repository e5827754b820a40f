#include "engine/serve/schedule/block_allocator.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace mmbatch {
namespace {

BlockContent content(std::uint64_t parent, std::uint64_t key) {
  return {parent, 0, {key, key + 1}};
}

TEST(BlockAllocator, HandsOutEachBlockOnce) {
  BlockAllocator allocator(3);
  std::vector<BlockHandle> handles;
  std::set<std::int32_t> blocks;
  for (int i = 0; i < 3; ++i) {
    handles.push_back(std::move(*allocator.allocate()));
    blocks.insert(handles.back().block());
  }
  EXPECT_EQ(blocks, (std::set<std::int32_t>{0, 1, 2}));
  EXPECT_FALSE(allocator.allocate());
  EXPECT_EQ(allocator.used(), 3u);
  handles.clear();
  EXPECT_EQ(allocator.used(), 0u);
  EXPECT_EQ(allocator.available(), 3u);
  EXPECT_EQ(allocator.peak_used(), 3u);
}

TEST(BlockAllocator, ABlockLivesAsLongAsItsLastReference) {
  BlockAllocator allocator(1);
  BlockHandle first = std::move(*allocator.allocate());
  EXPECT_TRUE(allocator.claim(first));
  {
    const BlockHandle second = allocator.share(first);
    EXPECT_EQ(second.block(), first.block());
    EXPECT_FALSE(allocator.claim(first));
    EXPECT_EQ(allocator.shared(), 1u);
    first = BlockHandle{};
    EXPECT_EQ(allocator.shared(), 0u);
    EXPECT_TRUE(allocator.claim(second));
    EXPECT_FALSE(allocator.allocate());
  }
  EXPECT_TRUE(allocator.allocate());
}

TEST(BlockAllocator, MovingAHandleMovesItsReference) {
  BlockAllocator allocator(2);
  BlockHandle a = std::move(*allocator.allocate());
  BlockHandle b = std::move(a);
  EXPECT_EQ(allocator.used(), 1u);
  a = std::move(*allocator.allocate());
  EXPECT_EQ(allocator.used(), 2u);
  a = std::move(b);
  b = BlockHandle{};
  EXPECT_EQ(allocator.used(), 1u);
}

TEST(BlockAllocator, PublishedContentIsFoundInUseAndAfterIt) {
  BlockAllocator allocator(2);
  std::uint64_t publication = 0;
  std::int32_t block = -1;
  {
    const BlockHandle handle = std::move(*allocator.allocate());
    block = handle.block();
    publication = allocator.publish(handle, content(0, 1));
    EXPECT_NE(publication, 0u);
    const auto found = allocator.find(content(0, 1));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->handle.block(), block);
    EXPECT_EQ(found->publication, publication);
    EXPECT_FALSE(allocator.find(content(0, 2)));
    EXPECT_FALSE(allocator.find(content(publication, 1)));
  }
  EXPECT_EQ(allocator.used(), 0u);
  const auto found = allocator.find(content(0, 1));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->handle.block(), block);
  EXPECT_EQ(allocator.used(), 1u);
}

TEST(BlockAllocator, AClaimedBlockIsNotFoundByItsContentAnyMore) {
  BlockAllocator allocator(1);
  const BlockHandle handle = std::move(*allocator.allocate());
  allocator.publish(handle, content(0, 1));
  EXPECT_TRUE(allocator.find(content(0, 1)));
  EXPECT_TRUE(allocator.claim(handle));
  EXPECT_FALSE(allocator.find(content(0, 1)));
}

TEST(BlockAllocator, WhatIsWrittenBehindAContentLeavesItToBeFound) {
  BlockAllocator allocator(1);
  const BlockHandle handle = std::move(*allocator.allocate());
  allocator.publish(handle, content(0, 1));
  EXPECT_TRUE(allocator.claim(handle, 2));
  EXPECT_TRUE(allocator.find(content(0, 1)));
  const std::uint64_t longer = allocator.publish(handle, {0, 0, {1, 2, 3}});
  EXPECT_FALSE(allocator.find(content(0, 1)));
  EXPECT_EQ(allocator.publication_of({0, 0, {1, 2, 3}}), longer);
  EXPECT_TRUE(allocator.claim(handle, 2));
  EXPECT_FALSE(allocator.find_alike(content(0, 1)));
}

TEST(BlockAllocator, TheContentThatBeginsMostAlikeIsFound) {
  BlockAllocator allocator(5);
  std::vector<BlockHandle> handles;
  const std::vector<BlockContent> contents = {{0, 0, {1, 2, 3, 4}},
                                              {0, 0, {1, 2, 9}},
                                              {0, 0, {1, 7}},
                                              {0, 1, {1, 2, 3, 4, 5}},
                                              {1, 0, {1, 2, 3, 4, 5}}};
  for (const BlockContent& each : contents) {
    handles.push_back(std::move(*allocator.allocate()));
    allocator.publish(handles.back(), each);
  }
  const auto positions = [&](const BlockContent& wanted, std::size_t expected) {
    const auto alike = allocator.find_alike(wanted);
    EXPECT_EQ(alike ? alike->block : -1, handles[expected].block());
    return alike ? alike->positions : 0;
  };
  EXPECT_EQ(positions({0, 0, {1, 2, 3, 4, 5}}, 0), 4u);
  EXPECT_EQ(positions({0, 0, {1, 2, 3}}, 0), 3u);
  EXPECT_EQ(positions({0, 0, {1, 2, 9, 9}}, 1), 3u);
  EXPECT_EQ(positions({0, 0, {1, 8}}, 2), 1u);
  EXPECT_EQ(positions({0, 1, {1, 2, 3, 4, 6}}, 3), 4u);
  EXPECT_EQ(positions({1, 0, {1, 2, 5}}, 4), 2u);
  EXPECT_FALSE(allocator.find_alike({0, 0, {2}}));
  EXPECT_FALSE(allocator.find_alike({2, 0, {1, 2, 3}}));
  EXPECT_FALSE(allocator.find_alike({0, 0, {}}));
}

TEST(BlockAllocator, KnownContentKeepsItsFirstBlock) {
  BlockAllocator allocator(2);
  const BlockHandle first = std::move(*allocator.allocate());
  const BlockHandle second = std::move(*allocator.allocate());
  const std::uint64_t publication = allocator.publish(first, content(0, 1));
  EXPECT_EQ(allocator.publish(second, content(0, 1)), publication);
  EXPECT_TRUE(allocator.claim(second));
  EXPECT_EQ(allocator.find(content(0, 1))->handle.block(), first.block());
}

TEST(BlockAllocator, TheLeastRecentlyUsedContentGoesFirst) {
  BlockAllocator allocator(3);
  std::vector<BlockHandle> handles;
  for (std::uint64_t i = 0; i < 3; ++i) {
    handles.push_back(std::move(*allocator.allocate()));
    allocator.publish(handles.back(), content(0, i * 10));
  }
  handles.clear();                // in order of age
  allocator.find(content(0, 0));  // used again: now the youngest
  const BlockHandle taken = std::move(*allocator.allocate());
  EXPECT_EQ(allocator.evictions(), 1u);
  EXPECT_FALSE(allocator.find(content(0, 10)));
  EXPECT_TRUE(allocator.find(content(0, 0)));
  EXPECT_TRUE(allocator.find(content(0, 20)));
}

TEST(BlockAllocator, WhatWasFoundAlikeIsTheYoungestAndNotInUse) {
  BlockAllocator allocator(2);
  {
    const BlockHandle first = std::move(*allocator.allocate()), second = std::move(*allocator.allocate());
    allocator.publish(second, content(0, 10));
    allocator.publish(first, content(0, 0));
  }  // the second goes first
  allocator.find_alike({0, 0, {10}});
  EXPECT_EQ(allocator.used(), 0u);
  const BlockHandle taken = std::move(*allocator.allocate());
  EXPECT_TRUE(allocator.find(content(0, 10)));
  EXPECT_FALSE(allocator.find(content(0, 0)));
}

TEST(BlockAllocator, FreeBlocksGoBeforeContentIsForgotten) {
  BlockAllocator allocator(2);
  { allocator.publish(std::move(*allocator.allocate()), content(0, 1)); }
  const BlockHandle other = std::move(*allocator.allocate());
  EXPECT_EQ(allocator.evictions(), 0u);
  EXPECT_TRUE(allocator.find(content(0, 1)));
}

// Random use against a plain model of it: counts agree at every step, and nothing is left at the end.
TEST(BlockAllocator, RandomUseNeverLeaks) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    BlockAllocator allocator(1 + random() % 12);
    std::vector<BlockHandle> handles;
    for (int step = 0; step < 2000; ++step) {
      const auto any = [&] { return random() % handles.size(); };
      switch (random() % 6) {
        case 0:
        case 1:
          if (auto handle = allocator.allocate()) handles.push_back(std::move(*handle));
          break;
        case 2:
          if (!handles.empty()) handles.push_back(allocator.share(handles[any()]));
          break;
        case 3:
          if (!handles.empty()) {
            std::swap(handles[any()], handles.back());
            handles.pop_back();
          }
          break;
        case 4:
          if (const auto alike = allocator.find_alike({0, 0, {random() % 8, 0}})) {
            ASSERT_EQ(alike->positions, 1u);
          }
          break;
        default:
          if (auto found = allocator.find(content(0, random() % 8))) {
            handles.push_back(std::move(found->handle));
          } else if (!handles.empty()) {
            const std::size_t at = any();
            if (allocator.claim(handles[at])) allocator.publish(handles[at], content(0, random() % 8));
          }
      }
      std::map<std::int32_t, int> references;
      for (const BlockHandle& handle : handles) ++references[handle.block()];
      std::size_t shared = 0;
      for (const auto& [block, count] : references) shared += count > 1 ? 1 : 0;
      ASSERT_EQ(allocator.used(), references.size());
      ASSERT_EQ(allocator.shared(), shared);
      ASSERT_EQ(allocator.available() + allocator.used(), allocator.blocks());
    }
    handles.clear();
    ASSERT_EQ(allocator.available(), allocator.blocks());
  }
}

}  // namespace
}  // namespace mmbatch
