#include "engine/base/files/small_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/engine/temporary_folder.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;

std::string fault_of(const std::filesystem::path& file, std::size_t max_bytes = 2048) {
  const auto read = read_small_file(file, max_bytes);
  return read ? "" : read.error().message;
}

TEST(SmallFile, IsReadUpToItsLimit) {
  const testing::TemporaryFolder folder;
  EXPECT_EQ(read_small_file(folder.write("empty", ""), 4).value(), "");
  EXPECT_EQ(read_small_file(folder.write("whole", "abcd"), 4).value(), "abcd");
  EXPECT_EQ(fault_of(folder.write("longer", std::string(2049, 'x'))), "more than 2 KiB");
}

TEST(SmallFile, WhatIsNotARegularFileIsRefusedAtOnce) {
  const testing::TemporaryFolder folder;
  EXPECT_EQ(fault_of(folder.path()), "not a regular file");
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(fault_of(folder / "fifo"), "not a regular file");
  EXPECT_EQ(fault_of("/dev/zero"), "not a regular file");
  EXPECT_THAT(fault_of(folder / "none"), HasSubstr("cannot be read: No such file"));
}

}  // namespace
}  // namespace mmbatch
