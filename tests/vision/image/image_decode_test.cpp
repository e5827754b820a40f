#include "vision/image/image_decode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

#include "engine/base/error.h"
#include "tests/vision/expected.h"
#include "vision/image/image_header.h"

namespace mmbatch {
namespace {

using Bytes = std::vector<std::byte>;
namespace fs = std::filesystem;

std::vector<fs::path> fixtures() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(test_data() / "images")) {
    if (entry.is_regular_file() && entry.path().extension() != ".py") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Bytes with_big_endian(Bytes bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::byte>(value >> (24 - 8 * i));
  return bytes;
}

/// HEIC, AVIF and lossy JPEG XL are rounded otherwise by the libraries behind Pillow's plug-ins.
int tolerance(const fs::path& file) {
  const std::string kind = file.extension();
  return kind == ".heic" || kind == ".avif" || file.filename() == "photo.jxl" ? 1 : 0;
}

TEST(ImageDecode, GivesPillowsPixels) {
  const std::vector<fs::path> files = fixtures();
  EXPECT_GE(files.size(), 80u);
  for (const fs::path& file : files) {
    const Image found = read_image(file);
    const Image expected = read_image(file.parent_path() / "expected" / (file.filename().string() + ".png"));
    EXPECT_EQ(found.width, expected.width) << file;
    EXPECT_EQ(found.height, expected.height) << file;
    ASSERT_EQ(found.rgb.size(), expected.rgb.size()) << file;
    int most = 0;
    for (std::size_t i = 0; i < found.rgb.size(); ++i) {
      most = std::max(most, std::abs(found.rgb[i] - expected.rgb[i]));
    }
    EXPECT_LE(most, tolerance(file)) << file;
  }
}

TEST(ImageDecode, IsRgbFromTheTopLeft) {
  const Image image = read_image(test_data() / "images" / "rgb.png");
  ASSERT_EQ(image.width, 24);
  ASSERT_EQ(image.height, 16);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const std::uint8_t* pixel = image.row(y) + 3 * x;
      EXPECT_EQ(pixel[0], 10 * x);
      EXPECT_EQ(pixel[1], 15 * y);
      EXPECT_EQ(pixel[2], 7 * x * y % 256);
    }
  }
}

TEST(ImageDecode, APngOf900MegapixelsIsRefusedByItsHeader) {
  const Bytes bomb = with_big_endian(with_big_endian(image_fixture("rgb.png"), 16, 30000), 20, 30000);
  const ItemError error = decoding_error(bomb);
  EXPECT_EQ(error.code(), ErrorCode::image_too_large);
  EXPECT_STREQ(error.what(), "the PNG image has 30000 x 30000 pixels; at most 89478485 in all are allowed");
  EXPECT_EQ(decoding_error(with_big_endian(image_fixture("rgb.png"), 16, 0x7FFFFFFF)).code(),
            ErrorCode::image_too_large);
}

TEST(ImageDecode, LimitsAreTheCallers) {
  const Bytes bytes = image_fixture("rgb.png");
  EXPECT_EQ(decoding_error(bytes, {.max_pixels = 24 * 16 - 1}).code(), ErrorCode::image_too_large);
  EXPECT_EQ(decoding_error(bytes, {.max_pixels = 24 * 16}).code(), ErrorCode::internal);
  EXPECT_EQ(decoding_error(bytes, {.max_side = 23}).code(), ErrorCode::image_too_large);
  EXPECT_EQ(decoding_error(bytes, {.max_bytes = bytes.size() - 1}).code(), ErrorCode::image_too_large);
  EXPECT_EQ(decoding_error(bytes, {.max_bytes = bytes.size()}).code(), ErrorCode::internal);
}

TEST(ImageDecode, DamageIsNamedInTheCodecsWords) {
  Bytes png = image_fixture("rgba.png");
  png[png.size() - 20] ^= std::byte{0xFF};  // in the compressed pixels or their checksum
  const ItemError error = decoding_error(png);
  EXPECT_EQ(error.code(), ErrorCode::image_unreadable);
  EXPECT_EQ(std::string(error.what()).find("damaged PNG image: "), 0u) << error.what();
  EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
  EXPECT_NE(std::string(decoding_error(Bytes(png.begin(), png.begin() + 60)).what()).find("truncated"),
            std::string::npos);
}

TEST(ImageDecode, AJpegWithoutItsEndIsRefusedWhereDecodersShowGrey) {
  for (const char* name : {"baseline.jpg", "progressive.jpg"}) {
    const Bytes whole = image_fixture(name);
    const Bytes half(whole.begin(), whole.end() - 100);
    EXPECT_EQ(decoding_error(half).code(), ErrorCode::image_unreadable) << name;
    Bytes closed = half;  // an end that is none
    closed.push_back(std::byte{0xFF});
    closed.push_back(std::byte{0xD9});
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(decoding_error(closed).code(), ErrorCode::image_unreadable) << name;
    EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  }
}

TEST(ImageDecode, BytesBehindTheEndDoNoHarm) {
  for (const char* name : {"baseline.jpg", "rgb.png", "rgb.bmp", "lossless.webp"}) {
    Bytes bytes = image_fixture(name);
    const Image expected = decode_image(bytes);
    bytes.insert(bytes.end(), 100, std::byte{0xFF});
    EXPECT_EQ(decode_image(bytes).rgb, expected.rgb) << name;
  }
}

/// What decode_image() may do with any input. @returns whether it gave a picture.
bool decodes_or_fails_cleanly(const Bytes& bytes) {
  try {
    const Image image = decode_image(bytes, {.max_bytes = 1 << 20, .max_pixels = 1 << 20});
    EXPECT_EQ(image.rgb.size(), static_cast<std::size_t>(image.width) * image.height * 3);
    return true;
  } catch (const ItemError& e) {
    EXPECT_GT(std::string(e.what()).size(), 10u);
    return false;
  }
}

/// Frames or boxes behind the first picture.
bool has_more_than_its_picture(const fs::path& file) {
  return file.stem() == "moving" || file.extension() == ".jxl";
}

TEST(ImageDecode, CutAnywhereItFailsCleanlyAndQuietly) {
  ::testing::internal::CaptureStderr();
  for (const fs::path& file : fixtures()) {
    const Bytes whole = read_bytes(file);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      if (decodes_or_fails_cleanly(cut)) {
        // Only what pads rows, chunks or directories may be missing, what follows the (first) picture, and
        // metadata.
        if (!has_more_than_its_picture(file)) {
          EXPECT_LE(whole.size() - size, 12u) << file << " cut to " << size;
        }
        EXPECT_EQ(decode_image(cut).rgb, decode_image(whole).rgb) << file << " cut to " << size;
      }
    }
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(ImageDecode, MutatedAnyhowItFailsCleanlyAndQuietly) {
  std::mt19937 random(7);
  ::testing::internal::CaptureStderr();
  int decoded = 0;
  for (const fs::path& file : fixtures()) {
    const Bytes whole = read_bytes(file);
    for (int round = 0; round < 150; ++round) {
      Bytes bytes = whole;
      for (unsigned i = 0; i <= random() % 4; ++i) {
        // Half of the damage goes to where the headers are.
        const std::size_t reach = random() % 2 ? bytes.size() : std::min<std::size_t>(bytes.size(), 64);
        bytes[random() % reach] = static_cast<std::byte>(random() % 3 ? random() : random() % 2 * 255);
      }
      if (random() % 10 == 0) bytes.resize(random() % bytes.size());
      decoded += decodes_or_fails_cleanly(bytes) ? 1 : 0;
    }
  }
  EXPECT_GT(decoded, 100);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(ImageDecode, ThreadsDoNotDisturbEachOther) {
  const Bytes good = image_fixture("exif6.jpg");
  const Bytes bad = [&] {
    Bytes bytes = image_fixture("rgb.png");
    bytes[bytes.size() - 20] ^= std::byte{1};
    return bytes;
  }();
  const Image expected = decode_image(good);
  std::vector<std::thread> threads;
  std::vector<int> failures(4);
  for (int& failed : failures) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        failed += decode_image(good).rgb == expected.rgb ? 0 : 1;
        failed += decoding_error(bad).code() == ErrorCode::image_unreadable ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, std::vector<int>(4));
}

}  // namespace
}  // namespace mmbatch
