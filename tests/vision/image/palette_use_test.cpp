#include "vision/image/palette_use.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "engine/base/error.h"
#include "tests/vision/expected.h"
#include "vision/image/image_decode.h"

namespace mmbatch {
namespace {

using Palette = std::vector<std::array<int, 3>>;

Palette colors_of_a_photo(std::size_t count) {
  Palette palette;
  for (int i = 0; i < static_cast<int>(count); ++i)
    palette.push_back({20 + i % 200, 30 + i % 151, 40 + i % 97});
  return palette;
}

bool is_implausible(const Palette& palette, std::size_t used_from, std::size_t used_to) {
  PaletteUse use;
  for (std::size_t i = used_from; i < used_to; ++i) use.mark(i);
  return use.is_implausible(palette.size(), [&](std::size_t i) { return palette[i]; });
}

TEST(PaletteUse, AStretchInTheMiddleThatIsBlackAndInUseWasOverwritten) {
  Palette palette = colors_of_a_photo(256);
  EXPECT_FALSE(is_implausible(palette, 0, 256));
  for (const int value : {0, 255}) {
    Palette torn = palette;
    for (std::size_t i = 60; i < 66; ++i) torn[i] = {value, value, value};
    EXPECT_TRUE(is_implausible(torn, 0, 256)) << value;
    EXPECT_FALSE(is_implausible(torn, 100, 256)) << "no pixel has it";
    EXPECT_FALSE(is_implausible(torn, 0, 62)) << "two colours of this kind are chance";
  }
}

TEST(PaletteUse, UnusedEntriesAndLimitedContrastAreUsual) {
  Palette padded = colors_of_a_photo(256);
  for (std::size_t i = 40; i < 256; ++i) padded[i] = {0, 0, 0};
  EXPECT_FALSE(is_implausible(padded, 0, 40));
  Palette limited;
  for (int i = 0; i < 256; ++i)
    limited.push_back(
        {std::clamp(2 * i - 128, 0, 255), std::clamp(2 * i - 128, 0, 255), std::clamp(2 * i - 128, 0, 255)});
  EXPECT_FALSE(is_implausible(limited, 0, 256));
  Palette torn_end = colors_of_a_photo(256);
  for (std::size_t i = 240; i < 256; ++i) torn_end[i] = {0, 0, 0};
  torn_end[239] = {90, 120, 140};
  EXPECT_TRUE(is_implausible(torn_end, 0, 256));
  EXPECT_FALSE(is_implausible(torn_end, 0, 240));
}

TEST(PaletteUse, PixelsThatAreToldApartForNothingAreNot) {
  const Palette black(256, {0, 0, 0});
  EXPECT_TRUE(is_implausible(black, 0, 2));
  EXPECT_FALSE(is_implausible(black, 7, 8)) << "a picture of one colour";
}

void expect_damage(const std::string& name, std::size_t at, const std::vector<unsigned char>& bytes) {
  auto file = read_bytes(test_data() / "images" / "mutants" / name);
  EXPECT_NO_THROW(decode_image(file)) << name;
  for (std::size_t i = 0; i < bytes.size(); ++i) file.at(at + i) = std::byte{bytes[i]};
  try {
    decode_image(file);
    ADD_FAILURE() << name << " is taken as sound";
  } catch (const ItemError& e) {
    EXPECT_EQ(e.code(), ErrorCode::image_unreadable) << e.what();
  }
  EXPECT_NO_THROW(decode_image(file, {.truncated = TruncatedImages::accept})) << name;
}

TEST(PaletteUse, DecodersLookAtIt) {
  expect_damage("palette.gif", 13 + 3 * 20, std::vector<unsigned char>(3 * 21));
}

TEST(Animation, ACanvasThatItsFramesHardlyTouchIsDamaged) {
  // Little-endian, less one: 64 becomes 18,240 pixels.
  expect_damage("moving.webp", 25, {0x47});
}

}  // namespace
}  // namespace mmbatch
