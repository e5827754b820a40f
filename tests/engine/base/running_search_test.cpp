#include "engine/base/text/running_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace mmbatch {
namespace {

// Held to a search through everything that came so far.
TEST(RunningSearch, FindsWhatASearchOfTheWholeTextFinds) {
  std::mt19937 random(3);
  const auto text = [&](std::size_t least, std::size_t more) {
    std::string made;
    for (std::size_t n = least + random() % more; n > 0; --n) made += static_cast<char>('a' + random() % 2);
    return made;
  };
  std::size_t found = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> wanted;
    for (std::size_t n = 1 + random() % 3; n > 0; --n) wanted.push_back(text(3, 6));
    RunningSearch search(wanted);
    std::string whole;
    for (int piece = 0; piece < 12; ++piece) {
      const std::string next = text(0, 4);
      whole += next;
      const bool expected = std::any_of(wanted.begin(), wanted.end(), [&](const std::string& one) {
        return whole.find(one) != std::string::npos;
      });
      ASSERT_EQ(search.push(next), expected) << whole;
      if (!expected) continue;
      ++found;
      break;
    }
  }
  EXPECT_GT(found, 1000u);
}

}  // namespace
}  // namespace mmbatch
