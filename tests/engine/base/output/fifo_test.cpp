#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "engine/base/output/output_file.h"
#include "tests/engine/temporary_folder.h"

namespace mmbatch {
namespace {

using std::chrono::milliseconds;

TEST(OpenForWriting, AFifosReaderIsWaitedForAndNotForEver) {
  const testing::TemporaryFolder folder;
  const auto fifo = folder.path() / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(open_for_writing(fifo, O_CREAT | O_TRUNC, milliseconds(1)), -1);
  EXPECT_EQ(errno, ENXIO);
  EXPECT_EQ(why_not_opened(fifo, ENXIO), "it is a FIFO, and nobody opened it to read");

  int reader = -1;
  std::thread later([&] { reader = ::open(fifo.c_str(), O_RDONLY); });
  const int writer = open_for_writing(fifo, 0, milliseconds(60'000));
  later.join();
  ASSERT_GE(writer, 0);
  EXPECT_EQ(::fcntl(writer, F_GETFL) & O_NONBLOCK, 0) << "a slow reader is waited for";
  EXPECT_EQ(::write(writer, "x", 1), 1);
  char read = 0;
  EXPECT_EQ(::read(reader, &read, 1), 1);
  ::close(writer);
  ::close(reader);
}

TEST(OpenForWriting, OtherFilesAreOpenedAsTheyAre) {
  const testing::TemporaryFolder folder;
  const int file = open_for_writing(folder.path() / "new", O_CREAT | O_TRUNC);
  EXPECT_GE(file, 0);
  ::close(file);
  EXPECT_EQ(open_for_writing(folder.path() / "none" / "new", O_CREAT), -1);
  EXPECT_EQ(errno, ENOENT);
}

}  // namespace
}  // namespace mmbatch
