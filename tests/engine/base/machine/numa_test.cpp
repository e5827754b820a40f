#include "engine/base/machine/numa.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

using Numbers = std::vector<std::size_t>;

TEST(NumaTest, ReadsListsAsTheKernelWritesThem) {
  EXPECT_EQ(numbers_of_list("0\n"), Numbers({0}));
  EXPECT_EQ(numbers_of_list("0-1,3"), Numbers({0, 1, 3}));
  EXPECT_EQ(numbers_of_list("2,5-7\n"), Numbers({2, 5, 6, 7}));
}

TEST(NumaTest, WhatIsNotAListHasNoNumbers) {
  for (const char* text :
       {"", "\n", "x", "0-", "3-1", "0,", ",1", "0 1", "-1", "0-99999999999999999999", "0-1024"})
    EXPECT_EQ(numbers_of_list(text), Numbers()) << text;
}

TEST(NumaTest, RefusesMachinesWithOneNode) {
  if (memory_nodes().size() > 1) GTEST_SKIP() << "this machine has several nodes";
  EXPECT_THROW(interleave_memory(), UsageError);
}

}  // namespace
}  // namespace mmbatch
