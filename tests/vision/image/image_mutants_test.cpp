// Thousands of damaged pictures, none of which may be answered as black: each is refused, or shows about what
// the sound one shows. MMBATCH_MUTANTS is their number for every format; tests/run.sh --long takes 10,000.
//
// Lossy WebP, HEIC, AVIF and JPEG 2000 have no checksums, and nearly any bits are codes of theirs: one
// changed value can darken a picture and leave its stream in order, which no decoder can tell from a dark
// picture. There, one mutant in a thousand may.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <random>
#include <string>

#include "engine/base/error.h"
#include "tests/engine/mutants.h"
#include "tests/vision/expected.h"
#include "vision/image/image_decode.h"
#include "vision/image/image_header.h"

namespace mmbatch {
namespace {

using Bytes = std::vector<std::byte>;
namespace fs = std::filesystem;

Bytes mutant(const Bytes& sound, std::mt19937& random) {
  Bytes bytes = sound;
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
  constexpr std::array<std::size_t, 7> kLengths = {1, 2, 4, 8, 16, 64, 256};
  const std::size_t at = below(bytes.size());
  const std::size_t length = std::min(kLengths[below(kLengths.size())], bytes.size() - at);
  const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at);
  const auto end = begin + static_cast<std::ptrdiff_t>(length);
  switch (below(8)) {
    case 0:
      *begin ^= static_cast<std::byte>(1u << below(8));
      break;
    case 1:
      *begin = static_cast<std::byte>(random());
      break;
    case 2:
      bytes.resize(at);
      break;
    case 3:
      std::fill(begin, end, std::byte{0});
      break;
    case 4:
      std::fill(begin, end, std::byte{0xFF});
      break;
    case 5:
      bytes.erase(begin, end);
      break;
    case 6: {
      Bytes more(length);
      for (std::byte& byte : more) byte = static_cast<std::byte>(random());
      bytes.insert(begin, more.begin(), more.end());
      break;
    }
    default:
      std::swap_ranges(begin, end,
                       bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size() - length + 1)));
  }
  return bytes;
}

/// The share of pixels that are black and were not.
double blackened(const Image& found, const Image& sound) {
  std::size_t black = 0;
  for (std::size_t i = 0; i < found.rgb.size(); i += 3) {
    black += std::max({found.rgb[i], found.rgb[i + 1], found.rgb[i + 2]}) < 8 ? 1 : 0;
  }
  // The sound ones have no pixel that is nearly black; a picture of another size counts by itself.
  EXPECT_GE(*std::min_element(sound.rgb.begin(), sound.rgb.end()), 16);
  return 3.0 * static_cast<double>(black) / static_cast<double>(found.rgb.size());
}

bool has_no_redundancy(ImageFormat format) {
  return format == ImageFormat::webp || format == ImageFormat::heic || format == ImageFormat::avif ||
         format == ImageFormat::jpeg2000;
}

TEST(ImageMutants, NoneIsBlack) {
  const std::size_t per_format = testing::mutants(300);
  std::map<ImageFormat, std::vector<fs::path>> files;
  for (const auto& entry : fs::directory_iterator(test_data() / "images" / "mutants")) {
    files[read_image_header(read_bytes(entry.path())).format].push_back(entry.path());
  }
  EXPECT_EQ(files.size(), 10u);
  for (auto& [format, of_format] : files) {
    std::sort(of_format.begin(), of_format.end());
    std::mt19937 random(3);
    std::size_t decoded = 0, black = 0;
    std::string seen;
    for (const fs::path& file : of_format) {
      const Bytes bytes = read_bytes(file);
      const Image sound = decode_image(bytes);
      for (std::size_t i = 0; i < per_format / of_format.size() + 1; ++i) {
        const Bytes damaged = mutant(bytes, random);
        try {
          const Image found = decode_image(damaged, {.max_pixels = 1 << 20});
          ++decoded;
          const double share = blackened(found, sound);
          if (share < 0.25) continue;
          ++black;
          seen += fmt::format("{}, mutant {}: {:.2f}\n", file.filename().string(), i, share);
        } catch (const ItemError& e) {
          EXPECT_NE(e.code(), ErrorCode::internal) << file << ", mutant " << i << ": " << e.what();
        }
      }
    }
    EXPECT_LE(black, has_no_redundancy(format) ? per_format / 1000 : 0) << seen;
    EXPECT_LT(decoded, per_format) << to_string(format);
  }
}

}  // namespace
}  // namespace mmbatch
