#include "vision/image/image_header.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "engine/base/error.h"
#include "tests/vision/expected.h"

namespace mmbatch {
namespace {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

ImageHeader header_of(const std::string& file) {
  return read_image_header(image_fixture(file));
}

ItemError error_of(const Bytes& bytes) {
  try {
    read_image_header(bytes);
  } catch (const ItemError& e) {
    return e;
  }
  return {ErrorCode::internal, "no error"};
}

TEST(ImageHeader, FormatSizeAndOrientation) {
  struct Case {
    const char* file;
    ImageFormat format;
    int orientation;
  };
  for (const Case& c : {Case{"rgb.png", ImageFormat::png, 1},       {"exif.png", ImageFormat::png, 6},
                        {"palette_alpha.png", ImageFormat::png, 1}, {"baseline.jpg", ImageFormat::jpeg, 1},
                        {"progressive.jpg", ImageFormat::jpeg, 1},  {"exif5.jpg", ImageFormat::jpeg, 5},
                        {"lossless.webp", ImageFormat::webp, 1},    {"lossy.webp", ImageFormat::webp, 1},
                        {"exif.webp", ImageFormat::webp, 8},        {"rgb.bmp", ImageFormat::bmp, 1},
                        {"top_down.bmp", ImageFormat::bmp, 1},      {"lzw.tif", ImageFormat::tiff, 1},
                        {"big_endian.tif", ImageFormat::tiff, 1},   {"turned3.tif", ImageFormat::tiff, 3},
                        {"moving.webp", ImageFormat::webp, 1},      {"palette.gif", ImageFormat::gif, 1},
                        {"photo.avif", ImageFormat::avif, 1},       {"turned.avif", ImageFormat::avif, 6},
                        {"photo.jxl", ImageFormat::jxl, 1},         {"lossless.jxl", ImageFormat::jxl, 1},
                        {"rgb.jp2", ImageFormat::jpeg2000, 1},      {"rgb.j2k", ImageFormat::jpeg2000, 1}}) {
    const ImageHeader header = header_of(c.file);
    EXPECT_EQ(header.format, c.format) << c.file;
    EXPECT_EQ(header.width, 24) << c.file;
    EXPECT_EQ(header.height, 16) << c.file;
    EXPECT_EQ(header.orientation, c.orientation) << c.file;
  }
}

TEST(ImageHeader, OtherFormatsAreRefusedByName) {
  const auto refused = [](const std::string& start, const std::string& name) {
    const ItemError error = error_of(bytes_of(start + std::string(40, '\0')));
    EXPECT_EQ(error.code(), ErrorCode::unsupported) << name;
    EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    const char* allowed =
        name == "PDF" ? "whose pages 'document' shows" : "PNG, JPEG, WebP, BMP, TIFF, GIF, HEIC";
    EXPECT_NE(std::string(error.what()).find(allowed), std::string::npos) << error.what();
  };
  refused("8BPS", "Photoshop");
  refused("%PDF-1.4", "PDF");
  refused("P6\n", "PPM");
  refused(std::string("II\x2B\0", 4), "BigTIFF");
  refused(std::string("\0\0\0\x18", 4) + "ftypisom", "video");
}

TEST(ImageHeader, HeicIsAsItsContainerCutsIt) {
  // Coded in blocks of 64 x 64. The EXIF of the second asks for a turn, which does not count in HEIF: ISO
  // 23008-12 has a property for it.
  for (const char* file : {"photo.heic", "turned.heic"}) {
    const ImageHeader header = header_of(file);
    EXPECT_EQ(header.format, ImageFormat::heic) << file;
    EXPECT_EQ(header.width, 24) << file;
    EXPECT_EQ(header.height, 16) << file;
    EXPECT_EQ(header.orientation, 1) << file;
  }
}

TEST(ImageHeader, SvgIsRefusedWithWhatToDo) {
  for (const char* text : {"<svg xmlns=\"x\"/>", "<?xml version=\"1.0\"?>\n<!-- drawn -->\n<svg/>",
                           "\xEF\xBB\xBF \n<!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\">"}) {
    const ItemError error = error_of(bytes_of(text));
    EXPECT_EQ(error.code(), ErrorCode::unsupported) << text;
    EXPECT_NE(std::string(error.what()).find("rsvg-convert"), std::string::npos) << error.what();
  }
  EXPECT_EQ(error_of(bytes_of("<html><body/></html>")).code(), ErrorCode::image_unreadable);
}

TEST(ImageHeader, WhatIsNoImageIsUnreadable) {
  EXPECT_EQ(error_of({}).code(), ErrorCode::image_unreadable);
  EXPECT_NE(std::string(error_of({}).what()).find("empty"), std::string::npos);
  const ItemError text = error_of(bytes_of("hello"));
  EXPECT_EQ(text.code(), ErrorCode::image_unreadable);
  EXPECT_NE(std::string(text.what()).find("68 65 6c 6c 6f"), std::string::npos) << text.what();
}

TEST(ImageHeader, UnsupportedVarieties) {
  Bytes jpeg = image_fixture("baseline.jpg");
  for (std::size_t i = 0; i + 9 < jpeg.size(); ++i) {
    if (jpeg[i] != std::byte{0xFF} || jpeg[i + 1] != std::byte{0xC0}) continue;
    jpeg[i + 4] = std::byte{12};
    EXPECT_EQ(error_of(jpeg).code(), ErrorCode::unsupported);
    EXPECT_NE(std::string(error_of(jpeg).what()).find("12 bits"), std::string::npos);
    jpeg[i + 4] = std::byte{8};
    jpeg[i + 1] = std::byte{0xC3};
    EXPECT_EQ(error_of(jpeg).code(), ErrorCode::unsupported);
    break;
  }
}

TEST(ImageHeader, ATagThatStandsTwiceIsRefused) {
  Bytes tiff = image_fixture("big_endian.tif");
  tiff[10 + 12] = std::byte{1};  // the second entry's tag, 257, becomes 256
  tiff[10 + 13] = std::byte{0};
  EXPECT_EQ(error_of(tiff).code(), ErrorCode::image_unreadable);
  EXPECT_NE(std::string(error_of(tiff).what()).find("twice"), std::string::npos);
}

TEST(ImageHeader, NoSizeIsRefused) {
  Bytes png = image_fixture("rgb.png");
  for (std::size_t i = 16; i < 20; ++i) png[i] = std::byte{0};
  EXPECT_EQ(error_of(png).code(), ErrorCode::image_unreadable);
  EXPECT_NE(std::string(error_of(png).what()).find("0 x 16"), std::string::npos);
}

TEST(ImageHeader, DamagedExifIsNoReasonToRefuse) {
  const Bytes good = image_fixture("exif6.jpg");
  const std::string text(reinterpret_cast<const char*>(good.data()), good.size());
  const std::size_t exif = text.find("Exif");
  ASSERT_NE(exif, std::string::npos);
  for (std::size_t at = exif + 6; at < exif + 24; ++at) {
    for (const int value : {0x00, 0x7F, 0xFF}) {
      Bytes bad = good;
      bad[at] = static_cast<std::byte>(value);
      const ImageHeader header = read_image_header(bad);
      EXPECT_EQ(header.width, 24);
      EXPECT_TRUE(header.orientation >= 1 && header.orientation <= 8);
    }
  }
}

/// Random bytes behind each signature, and random damage to the files: an ItemError or a header, never more.
TEST(ImageHeader, SurvivesHostileInput) {
  std::mt19937 random(1);
  const std::string signatures[] = {"\x89PNG\r\n\x1A\n" + std::string("\0\0\0\x0DIHDR", 8),
                                    "\xFF\xD8\xFF",
                                    "RIFF\x40",
                                    "RIFF....WEBPVP8X",
                                    "RIFF....WEBPVP8 ",
                                    "RIFF....WEBPVP8L",
                                    "BM",
                                    std::string("II\x2A\0\x08\0\0\0", 8),
                                    std::string("MM\0\x2A\0\0\0\x08", 8),
                                    "GIF89a",
                                    "\xFF\x0A",
                                    std::string("\0\0\0\x0CJXL \r\n\x87\n", 12),
                                    "\xFF\x4F\xFF\x51",
                                    std::string("\0\0\0\x0CjP  \r\n\x87\n", 12),
                                    std::string("\0\0\0\x10"
                                                "ftypavif\0\0\0\0\0\0\0\x40meta",
                                                24)};
  for (const std::string& signature : signatures) {
    for (int round = 0; round < 400; ++round) {
      std::string text = signature;
      for (unsigned i = 0; i < random() % 300; ++i)
        text += static_cast<char>(random() % 5 ? random() % 8 : random());
      const Bytes bytes = bytes_of(text);
      try {
        const ImageHeader header = read_image_header(bytes);
        EXPECT_GE(header.width, 1);
        EXPECT_GE(header.height, 1);
        check_image_work(bytes, header);
        check_image_complete(bytes, header);
      } catch (const ItemError&) {
      }
    }
  }
}

}  // namespace
}  // namespace mmbatch
