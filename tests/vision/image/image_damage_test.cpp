// Pictures that are not all there, and files that ask for more work than their pixels explain.

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <functional>
#include <string>

#include "engine/base/error.h"
#include "tests/vision/expected.h"
#include "vision/image/image_decode.h"

namespace mmbatch {
namespace {

using Bytes = std::vector<std::byte>;

/// The message of the error; empty when there is none.
std::string refusal(const Bytes& bytes, const ImageLimits& limits = {}) {
  try {
    decode_image(bytes, limits);
    return "";
  } catch (const ItemError& e) {
    return std::string(to_string(e.code())) + ": " + e.what();
  }
}

bool is_unreadable(const Bytes& bytes) {
  return refusal(bytes).rfind("image_unreadable: damaged ", 0) == 0;
}

std::size_t find(const Bytes& bytes, const std::string& text, std::size_t from = 0) {
  const std::string all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return all.find(text, from);
}

void set_big_endian(Bytes& bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::byte>(value >> (24 - 8 * i));
}

/// A PNG chunk with a right checksum.
Bytes chunk(const std::string& type, const Bytes& data) {
  Bytes out(12 + data.size());
  set_big_endian(out, 0, static_cast<std::uint32_t>(data.size()));
  for (std::size_t i = 0; i < 4; ++i) out[4 + i] = static_cast<std::byte>(type[i]);
  std::copy(data.begin(), data.end(), out.begin() + 8);
  const auto* summed = reinterpret_cast<const Bytef*>(out.data() + 4);
  set_big_endian(out, 8 + data.size(),
                 static_cast<std::uint32_t>(crc32(0, summed, static_cast<uInt>(4 + data.size()))));
  return out;
}

/// A PNG file with what `change` makes of its chunks.
Bytes with_chunks(const Bytes& png,
                  const std::function<Bytes(const std::string& type, const Bytes& data)>& change) {
  Bytes out(png.begin(), png.begin() + 8);
  for (std::size_t at = 8; at + 12 <= png.size();) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | std::to_integer<std::size_t>(png[at + i]);
    const std::string type(reinterpret_cast<const char*>(png.data() + at + 4), 4);
    const auto data = png.begin() + static_cast<std::ptrdiff_t>(at) + 8;
    const Bytes changed = change(type, Bytes(data, data + static_cast<std::ptrdiff_t>(length)));
    out.insert(out.end(), changed.begin(), changed.end());
    at += 12 + length;
  }
  return out;
}

TEST(ImageDamage, APngNeedsItsPixels) {
  const Bytes png = image_fixture("rgb.png");
  const auto without = [&](const std::string& gone) {
    return with_chunks(png, [&](const std::string& type, const Bytes& data) {
      return type == gone ? Bytes{} : chunk(type, data);
    });
  };
  EXPECT_NE(refusal(without("IDAT")).find("no IDAT"), std::string::npos) << refusal(without("IDAT"));
  EXPECT_EQ(decode_image(without("IEND")).rgb, decode_image(png).rgb);
  for (const std::size_t kept : {0u, 10u, 40u}) {
    const Bytes cut = with_chunks(png, [&](const std::string& type, const Bytes& data) {
      return chunk(type, type == "IDAT" ? Bytes(data.begin(), data.begin() + kept) : data);
    });
    EXPECT_TRUE(is_unreadable(cut)) << kept << ": " << refusal(cut);
  }
}

TEST(ImageDamage, ChecksumsOfCriticalChunksHold) {
  for (const char* type : {"IHDR", "PLTE", "IDAT"}) {
    const Bytes png = image_fixture("palette.png");
    const std::size_t at = find(png, type);
    ASSERT_NE(at, std::string::npos) << type;
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | std::to_integer<std::size_t>(png[at - 4 + i]);
    Bytes bad = png;
    bad[at + 4 + length] ^= std::byte{1};  // the checksum itself
    EXPECT_TRUE(is_unreadable(bad)) << type << ": " << refusal(bad);
  }
}

TEST(ImageDamage, PngHeadersSayWhatTheFormatHas) {
  const Bytes png = image_fixture("rgb.png");
  struct Field {
    std::size_t at;
    int value;
  };
  for (const Field& field : {Field{8, 7}, Field{8, 3}, Field{9, 7}, Field{9, 1}, Field{9, 5}, Field{10, 1},
                             Field{11, 1}, Field{12, 2}}) {
    const Bytes bad = with_chunks(png, [&](const std::string& type, Bytes data) {
      if (type == "IHDR") data[field.at] = static_cast<std::byte>(field.value);
      return chunk(type, data);
    });
    EXPECT_TRUE(is_unreadable(bad)) << field.at << " = " << field.value << ": " << refusal(bad);
  }
}

TEST(ImageDamage, AColourThatThePaletteLacksIsNoColour) {
  const Bytes cut = with_chunks(image_fixture("palette.png"), [](const std::string& type, const Bytes& data) {
    return chunk(type, type == "PLTE" ? Bytes(data.begin(), data.begin() + 6) : data);
  });
  EXPECT_TRUE(is_unreadable(cut)) << refusal(cut);
}

TEST(ImageDamage, PartsOfATiffThatDoNotUnpack) {
  for (const char* name : {"deflate.tif", "packbits.tif", "lzw.tif", "jpeg.tif", "group4.tif"}) {
    const Bytes good = image_fixture(name);
    int refused = 0, tries = 0;
    for (std::size_t at = 12; at + 40 < good.size() && at < 200; at += 8, ++tries) {
      Bytes bad = good;
      for (std::size_t i = 0; i < 6; ++i) bad[at + i] ^= std::byte{0xFF};
      refused += is_unreadable(bad) ? 1 : 0;
    }
    // Colours of packed bytes and pixels of LZW may change and still unpack.
    EXPECT_GT(refused, 0) << name;
    if (std::string(name) == "deflate.tif") {
      EXPECT_EQ(refused, tries);
    }
  }
}

// libtiff takes such a picture for a grey one, without a word.
TEST(ImageDamage, ATiffOfColourNumbersNeedsItsPalette) {
  const std::string shorts[] = {std::string("\x40\x01\x03\x00", 4), std::string("\x01\x40\x00\x03", 4)};
  for (const bool absent : {true, false}) {
    Bytes tiff = image_fixture("palette.tif");
    ASSERT_EQ(refusal(tiff), "");
    std::size_t at = find(tiff, shorts[0]);
    const bool little = at != std::string::npos;
    if (!little) at = find(tiff, shorts[1]);
    ASSERT_NE(at, std::string::npos);
    if (absent)
      tiff[at + (little ? 0 : 1)] = std::byte{0x3F};  // another tag, 319, which is not needed
    else
      tiff[at + (little ? 5 : 6)] = std::byte{1};  // 256 numbers instead of 768
    EXPECT_TRUE(is_unreadable(tiff)) << refusal(tiff);
    EXPECT_NE(refusal(tiff).find("no palette"), std::string::npos) << refusal(tiff);
  }
}

TEST(ImageDamage, AJpegNeedsAScanForEveryComponent) {
  Bytes jpeg = image_fixture("baseline.jpg");
  const std::size_t scan = find(jpeg, "\xFF\xDA");
  ASSERT_NE(scan, std::string::npos);
  ASSERT_EQ(jpeg[scan + 4], std::byte{3});
  jpeg[scan + 9] = jpeg[scan + 5];  // names its first component three times over
  jpeg[scan + 7] = jpeg[scan + 5];
  EXPECT_TRUE(is_unreadable(jpeg)) << refusal(jpeg);
}

/// A JPEG file without its scan `which`.
Bytes without_scan(const Bytes& jpeg, int which) {
  std::size_t begin = find(jpeg, "\xFF\xDA");
  for (int i = 0; i < which; ++i) begin = find(jpeg, "\xFF\xDA", begin + 2);
  std::size_t end = begin + 2;
  while (jpeg[end] != std::byte{0xFF} || jpeg[end + 1] == std::byte{0}) ++end;
  Bytes out(jpeg.begin(), jpeg.begin() + static_cast<std::ptrdiff_t>(begin));
  out.insert(out.end(), jpeg.begin() + static_cast<std::ptrdiff_t>(end), jpeg.end());
  return out;
}

TEST(ImageDamage, AProgressiveJpegNeedsTheScansThatOthersRefine) {
  const Bytes jpeg = image_fixture("progressive.jpg");
  // The averages of all components; coefficients 1 to 5 of the first, which later scans refine.
  for (const int scan : {0, 1}) EXPECT_TRUE(is_unreadable(without_scan(jpeg, scan))) << refusal(jpeg);
  // What the last scan refines need not be as fine.
  EXPECT_EQ(refusal(without_scan(jpeg, 9)), "");
}

TEST(ImageDamage, BytesBetweenJpegSegmentsLeaveThePictureWhole) {
  const Bytes jpeg = image_fixture("baseline.jpg");
  Bytes padded = jpeg;
  padded.insert(padded.end() - 2, 20, std::byte{0});
  EXPECT_EQ(decode_image(padded).rgb, decode_image(jpeg).rgb);
}

TEST(ImageDamage, RunLengthsThatEndEarly) {
  for (const char* name : {"runs8.bmp", "runs4.bmp"}) {
    const Bytes good = image_fixture(name);
    for (const std::ptrdiff_t gone : {10, 40, 100}) {
      const Bytes cut(good.begin(), good.end() - gone);
      EXPECT_TRUE(is_unreadable(cut)) << name;
      Bytes ended = cut;  // by the format's own mark
      ended.insert(ended.end(), {std::byte{0}, std::byte{1}});
      EXPECT_TRUE(is_unreadable(ended)) << name;
    }
    EXPECT_EQ(decode_image(Bytes(good.begin(), good.end() - 2)).rgb, decode_image(good).rgb) << name;
  }
}

TEST(ImageDamage, MasksOfABmpAreRunsOfBitsThatDoNotOverlap) {
  const Bytes good = image_fixture("bits565.bmp");
  for (const std::uint32_t mask : {0x00000000u, 0x00F50000u, 0xE0070000u}) {  // as the file's bytes stand
    Bytes bad = good;
    set_big_endian(bad, 54, mask);
    EXPECT_TRUE(is_unreadable(bad)) << mask;
  }
}

TEST(ImageDamage, CutFilesAreAcceptedWhereThatIsAsked) {
  const ImageLimits accept{.truncated = TruncatedImages::accept};
  for (const char* name : {"mutants/rgb.png", "mutants/baseline.jpg", "mutants/progressive.jpg",
                           "mutants/rgb.bmp", "mutants/lossy.webp", "runs8.bmp"}) {
    const Bytes good = image_fixture(name);
    const Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(good.size() * 4 / 5));
    EXPECT_NE(refusal(cut), "") << name;
    ASSERT_EQ(refusal(cut, accept), "") << name;
    const Image whole = decode_image(good), part = decode_image(cut, accept);
    ASSERT_EQ(part.rgb.size(), whole.rgb.size()) << name;
    const std::string text = name;
    const int first = text.find(".bmp") != std::string::npos ? whole.height - 1 : 0;
    if (text != "mutants/progressive.jpg") {
      EXPECT_TRUE(std::equal(part.row(first), part.row(first) + part.row_bytes(), whole.row(first))) << name;
    }
    EXPECT_EQ(decode_image(good, accept).rgb, whole.rgb) << name;
  }
  Bytes headless = image_fixture("rgb.png");
  headless.resize(30);
  EXPECT_NE(refusal(headless, accept), "");
}

TEST(ImageWork, ScansAreCounted) {
  const Bytes good = image_fixture("progressive.jpg");
  const std::size_t scan = find(good, "\xFF\xDA");
  const std::size_t next = find(good, "\xFF\xC4", scan);
  ASSERT_NE(next, std::string::npos);
  Bytes bomb(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(next));
  for (int i = 0; i < 600; ++i) {
    bomb.insert(bomb.end(), good.begin() + static_cast<std::ptrdiff_t>(scan),
                good.begin() + static_cast<std::ptrdiff_t>(next));
  }
  bomb.insert(bomb.end(), good.begin() + static_cast<std::ptrdiff_t>(next), good.end());
  EXPECT_NE(refusal(bomb).find("unsupported: JPEG image: more than 500 scans"), std::string::npos)
      << refusal(bomb);
}

TEST(ImageWork, TilesFitTheirPicture) {
  // 1 x 4096 pixels in tiles of 4096 x 4096, all of which are the same bytes.
  Bytes tiff = image_fixture("one_pixel.tif");
  tiff.assign(8 + 2 + 9 * 12 + 4, std::byte{0});
  const auto put = [&](std::size_t at, std::uint32_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) tiff[at + i] = static_cast<std::byte>(value >> 8 * i);
  };
  put(0, 0x002A4949, 4), put(4, 8, 4), put(8, 9, 2);
  const std::uint32_t entries[9][3] = {{256, 1, 1},    {257, 1, 65536}, {258, 1, 8},
                                       {259, 1, 8},    {262, 1, 1},     {322, 1, 4096},
                                       {323, 1, 4096}, {324, 16, 200},  {325, 16, 200}};
  for (std::size_t i = 0; i < 9; ++i) {
    put(10 + 12 * i, entries[i][0], 2), put(12 + 12 * i, 4, 2);
    put(14 + 12 * i, entries[i][1], 4), put(18 + 12 * i, entries[i][2], 4);
  }
  tiff.resize(400);
  EXPECT_NE(refusal(tiff).find("in tiles of 4096 x 4096 is not supported"), std::string::npos)
      << refusal(tiff);
}

TEST(ImageWork, CompressedTextInAPngIsNotUnpacked) {
  Bytes packed(1 << 16);
  const Bytes zeros(std::size_t{64} << 20);
  uLongf size = packed.size() * 8;
  packed.resize(size);
  ASSERT_EQ(compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
                      reinterpret_cast<const Bytef*>(zeros.data()), zeros.size(), 9),
            Z_OK);
  packed.resize(size);
  Bytes text = {std::byte{'a'}, std::byte{0}, std::byte{0}};  // keyword, method
  text.insert(text.end(), packed.begin(), packed.end());
  const Bytes png = image_fixture("rgb.png");
  for (const char* type : {"zTXt", "iCCP"}) {
    const Bytes bomb = with_chunks(png, [&](const std::string& at, const Bytes& data) {
      Bytes out = at == "IDAT" ? chunk(type, text) : Bytes{};
      const Bytes own = chunk(at, data);
      out.insert(out.end(), own.begin(), own.end());
      return out;
    });
    EXPECT_EQ(decode_image(bomb).rgb, decode_image(png).rgb) << type;
  }
}

TEST(Damage, AJpegWhoseFrameNamesAComponentTwice) {
  // 8 × 8 pixels; scans bring components 1 and 2, and libjpeg takes both of id 1 for the first: the second
  // has quantization table 255, of four.
  Bytes jpeg;
  const auto segment = [&](int marker, const std::string& data) {
    for (const int byte : {0xFF, marker, 0, static_cast<int>(data.size()) + 2})
      jpeg.push_back(static_cast<std::byte>(byte));
    for (const char byte : data) jpeg.push_back(static_cast<std::byte>(byte));
  };
  const auto bytes = [](std::initializer_list<int> values) {
    std::string out;
    for (const int value : values) out += static_cast<char>(value);
    return out;
  };
  jpeg = {std::byte{0xFF}, std::byte{0xD8}};
  segment(0xDB, bytes({0}) + std::string(64, 16));
  segment(0xC0, bytes({8, 0, 8, 0, 8, 3, 1, 0x11, 0, 1, 0x11, 255, 2, 0x11, 0}));
  segment(0xC4, bytes({0x00, 1, 1}) + std::string(14, 0) + bytes({7, 0}));
  segment(0xC4, bytes({0x10, 1}) + std::string(15, 0) + bytes({0}));
  segment(0xDA, bytes({1, 1, 0, 0, 63, 0}));
  for (const int byte : {0x3E, 0xFF, 0xDA, 0, 8, 1, 2, 0, 0, 63, 0, 0x9F, 0xFF, 0xD9})
    jpeg.push_back(static_cast<std::byte>(byte));
  EXPECT_EQ(refusal(jpeg), "image_unreadable: damaged JPEG image: its frame has component 1 twice");
}

}  // namespace
}  // namespace mmbatch
