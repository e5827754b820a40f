#include "jobs/text/clock.h"

#include <gtest/gtest.h>

namespace mmbatch {
namespace {

TEST(Clock, ReadsTimesThatThereAre) {
  for (const char* time :
       {"2026-01-31", "2024-02-29", "2000-02-29", "2026-12-31T23:59:59", "2026-01-31T12:34:56.789Z"})
    EXPECT_TRUE(read_time(time)) << time;
  for (const char* time : {"2026-02-30", "2026-02-29", "1900-02-29", "2026-04-31", "2026-13-01", "2026-01-00",
                           "2026-01-31T24:00:00", "2026-01-31T12:34:60", "2026-01-31T12:34", "noon"})
    EXPECT_FALSE(read_time(time)) << time;
}

TEST(Clock, CountsSeconds) {
  EXPECT_EQ(unix_seconds("1970-01-02"), 86400);
  EXPECT_EQ(unix_seconds("2026-01-31T12:34:56.75Z"), 1769862896.75);
  EXPECT_EQ(unix_seconds("2026-01-31T12:34:56.Z"), 1769862896);
  EXPECT_EQ(unix_seconds("2026-01-31T12:34:56.1e300Z"), std::nullopt);
  EXPECT_EQ(unix_seconds("noon"), std::nullopt);
}

TEST(Clock, KnowsTheDays) {
  const auto time = read_time("2024-03-01");
  ASSERT_TRUE(time);
  EXPECT_EQ(time->tm_wday, 5);
  EXPECT_EQ(time->tm_yday, 60);
  EXPECT_EQ(time_text(*time), "2024-03-01T00:00:00");
}

}  // namespace
}  // namespace mmbatch
