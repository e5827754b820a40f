#include "engine/base/text/counted.h"

#include <gtest/gtest.h>

namespace mmbatch {
namespace {

TEST(Counted, OneThingIsOneThing) {
  EXPECT_EQ(counted(0, "item"), "0 items");
  EXPECT_EQ(counted(1, "item"), "1 item");
  EXPECT_EQ(counted(2, "answer token"), "2 answer tokens");
}

}  // namespace
}  // namespace mmbatch
