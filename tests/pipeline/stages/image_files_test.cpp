#include "pipeline/stages/images/image_files.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <thread>

#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

/// Knows nothing at first, as a new database.
struct NothingKnown : DigestCache {
  std::optional<std::string> find_digest(const FileStamp& stamp) override {
    const auto found = digests.find(stamp.path);
    return found == digests.end() ? std::nullopt : std::optional(found->second);
  }
  void remember_digest(const FileStamp& stamp, const std::string& sha256) override {
    ++remembered;
    digests[stamp.path] = sha256;
  }
  int remembered = 0;
  std::map<std::string, std::string> digests;
};

Item::Image image_at(const std::string& path) {
  Item::Image image;
  image.written = path;
  image.path = path;
  return image;
}

std::string text_of(const ImageFiles::Bytes& file) {
  return {file.bytes.begin(), file.bytes.end()};
}

/// A file old enough that its stamp is trusted.
std::string old_file(const Workplace& place, const std::string& name, const std::string& content) {
  std::string path = place.write(name, content);
  std::filesystem::last_write_time(path,
                                   std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  return path;
}

TEST(ImageFiles, TheBytesThatWereHashedAreTheOnesThatAreDecoded) {
  const Workplace place;
  NothingKnown known;
  ImageFiles files(known, {});
  const Item::Image image = image_at(place.write("a.png", "one"));
  const std::string sha = files.digest(image, {});
  EXPECT_EQ(sha, sha256_hex("one"));
  std::filesystem::remove(image.path);  // they are not read again
  EXPECT_EQ(text_of(files.take(image, sha, {})), "one");
  EXPECT_THROW(files.take(image, sha, {}), ItemError) << "taken, and gone";
}

TEST(ImageFiles, WhatIsDroppedIsReadAgain) {
  const Workplace place;
  NothingKnown known;
  ImageFiles files(known, {});
  const Item::Image image = image_at(place.write("a.png", "one"));
  const std::string sha = files.digest(image, {});
  files.drop({sha});
  EXPECT_EQ(text_of(files.take(image, sha, {})), "one");
  std::filesystem::remove(image.path);
  EXPECT_THROW(files.take(image, sha, {}), ItemError);
}

TEST(ImageFiles, AFileIsHashedOnceForAllItsItems) {
  const Workplace place;
  NothingKnown known;
  ImageFiles files(known, {});
  const Item::Image image = image_at(old_file(place, "a.png", "one"));
  std::this_thread::sleep_for(std::chrono::milliseconds(150));  // its change lies back far enough
  for (int i = 0; i < 3; ++i) EXPECT_EQ(files.digest(image, {}), sha256_hex("one"));
  EXPECT_EQ(known.remembered, 1);
}

TEST(ImageFiles, WhatDoesNotFitIsNotKept) {
  const Workplace place;
  NothingKnown known;
  ImageFiles files(known, {.media = {}, .memory_bytes = 100});
  const Item::Image large = image_at(place.write("large", std::string(5000, 'x')));
  const std::string sha = files.digest(large, {});
  EXPECT_EQ(sha, sha256_hex(std::string(5000, 'x')));
  ImageFiles::Bytes file = files.take(large, sha, {});
  EXPECT_EQ(file.bytes.size(), 5000u);
  file.memory.grow(1 << 20);  // alone, it gets what it needs
}

TEST(ImageFiles, DataUrisAreDecodedOnce) {
  NothingKnown known;
  ImageFiles files(known, {});
  Item::Image image;
  image.written = "data:";
  image.data = "b25l";
  const std::string sha = files.digest(image, {});
  EXPECT_EQ(sha, sha256_hex("one"));
  image.data = "not base64!";
  EXPECT_EQ(text_of(files.take(image, sha, {})), "one");
}

TEST(ImageFiles, AnItemOutOfTimeIsNotRead) {
  const Workplace place;
  NothingKnown known;
  ImageFiles files(known, {});
  const Deadline passed(std::chrono::steady_clock::now() - std::chrono::seconds(1),
                        std::chrono::milliseconds(1));
  EXPECT_THROW(files.digest(image_at(place.write("a.png", "one")), passed), ItemError);
}

}  // namespace
}  // namespace mmbatch
