#include "jobs/media/media.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <map>
#include <thread>

#include "engine/base/sha256.h"
#include "jobs/media/retry.h"
#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using testing::TempFolder;

Item::Image image_at(const std::filesystem::path& path, const std::filesystem::path& root = {}) {
  return {path.string(), root.empty() ? path : root / path, root, ""};
}

/// The code of the ItemError that reading gives, or "read".
std::string outcome(const Item::Image& image, const MediaLimits& limits = {}) {
  try {
    read_image(image, limits);
    return "read";
  } catch (const ItemError& e) {
    return std::string(to_string(e.code()));
  }
}

TEST(Media, ReadsFiles) {
  TempFolder folder;
  const auto file = folder.write("a.png", std::string("\0bytes", 6));
  const auto bytes = read_image(image_at(file));
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), std::string("\0bytes", 6));
  EXPECT_TRUE(read_image(image_at(folder.write("empty.png", ""))).empty());
  EXPECT_EQ(outcome(image_at(folder / "none.png")), "image_missing");
  EXPECT_EQ(outcome(image_at(folder / "a.png" / "b.png")), "image_missing");
  EXPECT_EQ(outcome(image_at(file), {5}), "image_too_large");
  EXPECT_EQ(outcome(image_at(file), {6}), "read");
  EXPECT_EQ(outcome(image_at("")), "path_refused");
}

TEST(Media, ReadingEndsAtTheDeadline) {
  using std::chrono::milliseconds;
  TempFolder folder;
  const auto file = folder.write("a.png", "bytes");
  MediaLimits limits;
  limits.deadline = Deadline(Deadline::Clock::now() - milliseconds(20), milliseconds(10));
  EXPECT_EQ(outcome(image_at(file), limits), "timeout");
  EXPECT_THROW(digest_image(image_at(file), nullptr, limits), ItemError);
  limits.deadline = Deadline(Deadline::Clock::now(), std::chrono::hours(1));
  EXPECT_EQ(outcome(image_at(file), limits), "read");
  limits.deadline = Deadline(Deadline::Clock::now() - milliseconds(20), milliseconds(0));
  EXPECT_EQ(outcome(image_at(file), limits), "read");

  // In the middle of a file: a hole of 200 MB takes longer than that.
  std::filesystem::resize_file(file, 200 << 20);
  limits.deadline = Deadline(Deadline::Clock::now(), milliseconds(5));
  EXPECT_EQ(outcome(image_at(file), limits), "timeout");
}

TEST(Media, NothingButRegularFilesIsRead) {
  TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", (folder / "socket").c_str());
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  std::filesystem::create_symlink("loop", folder / "loop");
  for (const char* name : {"fifo", "socket"}) {
    EXPECT_EQ(outcome(image_at(folder / name)), "path_refused") << name;
    EXPECT_EQ(outcome(image_at(name, folder.path())), "path_refused") << name;
  }
  EXPECT_EQ(outcome(image_at(folder.path())), "path_refused");
  EXPECT_EQ(outcome(image_at("/dev/zero")), "path_refused");
  EXPECT_EQ(outcome(image_at("/dev/null")), "path_refused");
  EXPECT_EQ(outcome(image_at(folder / "loop")), "image_unreadable");
  ::close(listener);
}

TEST(Media, NoPathLeavesTheRoot) {
  TempFolder folder;
  folder.write("secret.png", "s");
  folder.write("root/a.png", "a");
  folder.write("root/deep/b.png", "b");
  folder.write("rootless/c.png", "c");
  std::filesystem::create_symlink("../secret.png", folder / "root/out.png");
  std::filesystem::create_symlink(folder.path(), folder / "root/up");
  std::filesystem::create_symlink("deep/b.png", folder / "root/in.png");
  std::filesystem::create_symlink("root", folder / "alias");
  const auto root = folder / "root";
  EXPECT_EQ(outcome(image_at("a.png", root)), "read");
  EXPECT_EQ(outcome(image_at("a.png", root / "")), "read");
  EXPECT_EQ(outcome(image_at("deep/../a.png", root)), "read");
  EXPECT_EQ(outcome(image_at("in.png", root)), "read");
  EXPECT_EQ(outcome(image_at(root / "a.png", root)), "read");
  EXPECT_EQ(outcome(image_at("a.png", folder / "alias")), "read");
  EXPECT_EQ(outcome(image_at(root / "a.png", folder / "alias")), "read");
  EXPECT_EQ(outcome(image_at("none.png", root)), "image_missing");
  for (const char* path :
       {"../secret.png", "out.png", "up/secret.png", "../rootless/c.png", "/etc/passwd", "/dev/zero",
        "../none.png", "deep/../../secret.png", "..", "up/root/../secret.png"}) {
    EXPECT_EQ(outcome(image_at(path, root)), "path_refused") << path;
  }
}

TEST(Media, RacingSymlinksNeverLeadOut) {
  TempFolder folder;
  folder.write("secret/a.png", "secret");
  folder.write("root/real/a.png", "public");
  std::atomic<bool> stop = false;
  std::thread swapper([&] {
    while (!stop) {
      std::error_code ignored;
      std::filesystem::rename(folder / "root/real", folder / "root/parked", ignored);
      std::filesystem::create_symlink(folder / "secret", folder / "root/real", ignored);
      std::filesystem::remove(folder / "root/real", ignored);
      std::filesystem::rename(folder / "root/parked", folder / "root/real", ignored);
    }
  });
  for (int i = 0; i < 3000; ++i) {
    try {
      const auto bytes = read_image(image_at("real/a.png", folder / "root"));
      EXPECT_EQ(std::string(bytes.begin(), bytes.end()), "public");
    } catch (const ItemError&) {
    }
  }
  stop = true;
  swapper.join();
}

TEST(Media, DataUris) {
  Item::Image image;
  image.data = "aGVsbG8=";
  const auto bytes = read_image(image);
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), "hello");
  EXPECT_EQ(outcome(image, {4}), "image_too_large");
  image.data = "aGVsbG8*";
  EXPECT_EQ(outcome(image), "image_unreadable");
  image.data = "aGVsbG8=";
  EXPECT_EQ(digest_image(image, nullptr).sha256, sha256_hex("hello"));
}

class MapCache : public DigestCache {
 public:
  std::optional<std::string> find_digest(const FileStamp& stamp) override {
    const auto found = known.find(stamp.path);
    if (found == known.end() || !(found->second.first == stamp)) return std::nullopt;
    ++hits;
    return found->second.second;
  }
  void remember_digest(const FileStamp& stamp, const std::string& sha256) override {
    known[stamp.path] = {stamp, sha256};
  }
  std::map<std::string, std::pair<FileStamp, std::string>> known;
  int hits = 0;
};

TEST(Media, DigestsAreRememberedUntilTheFileChanges) {
  TempFolder folder;
  MapCache cache;
  const auto file = folder.write("a.png", "one");
  EXPECT_EQ(digest_image(image_at(file), &cache).sha256, sha256_hex("one"));
  EXPECT_TRUE(cache.known.empty()) << "a file that has just changed may change again unseen";
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  EXPECT_EQ(digest_image(image_at(file), &cache).sha256, sha256_hex("one"));
  EXPECT_EQ(digest_image(image_at(file), &cache).sha256, sha256_hex("one"));
  EXPECT_EQ(cache.hits, 1);
  const auto time = std::filesystem::last_write_time(file);
  folder.write("a.png", "two");
  std::filesystem::last_write_time(file, time);
  EXPECT_EQ(digest_image(image_at(file), &cache).sha256, sha256_hex("two")) << "same size and time of change";
}

TEST(Retry, TriesAgainWhatCanPassAndNothingElse) {
  const RetryOptions quick{4, std::chrono::milliseconds{0}};
  int attempts = 0;
  const auto busy = [&](int until) {
    attempts = 0;
    return retried(
        [&] {
          if (++attempts < until) throw PassingFault(ErrorCode::image_unreadable, "busy");
          return attempts;
        },
        quick);
  };
  EXPECT_EQ(busy(1), 1);
  EXPECT_EQ(busy(4), 4);
  EXPECT_THROW(busy(5), ItemError);
  EXPECT_EQ(attempts, 4);
  attempts = 0;
  EXPECT_THROW(retried(
                   [&]() -> int {
                     ++attempts;
                     throw ItemError(ErrorCode::image_missing, "gone");
                   },
                   quick),
               ItemError);
  EXPECT_EQ(attempts, 1);
  EXPECT_TRUE(may_pass(ESTALE));
  EXPECT_FALSE(may_pass(ENOENT));
}

}  // namespace
}  // namespace mmbatch
