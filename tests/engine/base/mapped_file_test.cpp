#include "engine/base/mapped_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/engine/temporary_folder.h"

namespace mmbatch {
namespace {

constexpr std::size_t kBytes = std::size_t{16} << 20;

/// What /proc says of this process: resident memory, in bytes.
std::size_t resident() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::stoul(line.substr(6)) * 1024;
  }
  return 0;
}

unsigned sum(std::span<const std::byte> bytes) {
  unsigned total = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 512) total += static_cast<unsigned>(bytes[i]);
  return total;
}

TEST(MappedFile, WhatIsReleasedLeavesMemoryAndComesBack) {
  const testing::TemporaryFolder folder;
  std::string content(kBytes, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i / 512 * 7);
  testing::write_file(folder.path() / "file", content);
  const MappedFile file(folder.path() / "file");
  const unsigned before = sum(file.bytes());
  const std::size_t with = resident();
  release_mapped(file.bytes());
  EXPECT_LT(resident() + kBytes * 3 / 4, with);
  EXPECT_EQ(sum(file.bytes()), before);
}

// Reading one tensor maps the large pages that it shares with those around it.
TEST(MappedFile, WhatIsReadAndReleasedInTurnDoesNotStay) {
  const testing::TemporaryFolder folder;
  testing::write_file(folder.path() / "file", std::string(kBytes, 'x'));
  const MappedFile file(folder.path() / "file");
  const std::size_t before = resident();
  constexpr std::size_t kTensor = 1'200'000;
  for (std::size_t first = 0; first < kBytes; first += kTensor) {
    const auto tensor = file.bytes().subspan(first, std::min(kTensor, kBytes - first));
    EXPECT_GT(sum(tensor), 0u);
    release_mapped(tensor);
  }
  EXPECT_LT(resident(), before + kBytes / 4);
}

TEST(MappedFile, OtherMemoryIsLeftAlone) {
  const testing::TemporaryFolder folder;
  testing::write_file(folder.path() / "file", "some bytes");
  const MappedFile file(folder.path() / "file");
  std::vector<std::byte> own(kBytes, std::byte{7});
  release_mapped(own);
  release_mapped({own.data() + 5, 100});
  release_mapped({});
  EXPECT_EQ(std::count(own.begin(), own.end(), std::byte{7}), static_cast<std::ptrdiff_t>(kBytes));
}

}  // namespace
}  // namespace mmbatch
