#include "vision/document/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "tests/vision/expected.h"

namespace mmbatch {
namespace {

using Bytes = std::vector<std::byte>;
using ::testing::HasSubstr;

Bytes file(const std::string& name) {
  return read_bytes(test_data() / "documents" / name);
}

Image part_of(const Bytes& bytes, const ImagePart& part, const ImageLimits& limits = {}) {
  return decode_part(bytes, part, read_part_header(bytes, part, limits), limits);
}

std::string problem_of(const Bytes& bytes, const ImagePart& part) {
  try {
    part_of(bytes, part);
  } catch (const ItemError& e) {
    return std::string(to_string(e.code())) + ": " + e.what();
  }
  return "";
}

std::vector<int> pixel(const Image& image, int x, int y) {
  const std::uint8_t* at = image.row(y) + 3 * static_cast<std::ptrdiff_t>(x);
  return {at[0], at[1], at[2]};
}

constexpr ImagePart kPdfPage{.page = 1, .dpi = 144, .pixels = 4'000'000};

TEST(Document, PagesOfAPdf) {
  const Bytes pdf = file("three.pdf");
  EXPECT_EQ(read_document_info(pdf, DocumentKind::pages).pages, 3u);
  ImagePart part = kPdfPage;
  const Image first = part_of(pdf, part);
  EXPECT_EQ(first.width, 288);
  EXPECT_EQ(first.height, 144);
  EXPECT_EQ(pixel(first, 280, 5), (std::vector<int>{255, 0, 0}));
  // Its text is in a font that the document does not bring.
  int black = 0;
  for (int y = 0; y < first.height; ++y) {
    for (int x = 0; x < first.width; ++x) black += pixel(first, x, y) == std::vector<int>{0, 0, 0} ? 1 : 0;
  }
  EXPECT_GT(black, 300);
  part.page = 3;
  part.dpi = 72;
  const Image turned = part_of(pdf, part);
  EXPECT_EQ(turned.width, 72);
  EXPECT_EQ(turned.height, 144);
  EXPECT_EQ(pixel(turned, 10, 10), (std::vector<int>{0, 0, 255}));
  part.pixels = 32 * 64;
  EXPECT_EQ(part_of(pdf, part).width, 32);
}

TEST(Document, SaysWhyAPdfIsNotShown) {
  ImagePart part = kPdfPage;
  part.page = 4;
  EXPECT_THAT(problem_of(file("three.pdf"), part),
              HasSubstr("image_unreadable: there is no page 4: it has 3"));
  EXPECT_THAT(problem_of(file("locked.pdf"), kPdfPage), HasSubstr("unsupported: "));
  EXPECT_THAT(problem_of(file("locked.pdf"), kPdfPage), HasSubstr("password"));
  Bytes cut = file("three.pdf");
  cut.resize(cut.size() - 300);
  EXPECT_THAT(problem_of(cut, kPdfPage), HasSubstr("image_unreadable: damaged PDF image: truncated"));
  EXPECT_THAT(problem_of({}, kPdfPage), HasSubstr("0 bytes"));
  const std::string text = "%PDF-1.4 and nothing else\n%%EOF";
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  EXPECT_THAT(problem_of(Bytes(bytes, bytes + text.size()), kPdfPage), HasSubstr("image_unreadable"));
}

TEST(Document, FramesAndPagesAreAsPillowHasThem) {
  const auto expected = nlohmann::json::parse(std::ifstream(test_data() / "documents" / "expected.json"));
  for (const auto& [name, pages] : expected.items()) {
    const Bytes bytes = file(name);
    ASSERT_EQ(read_document_info(bytes, DocumentKind::pages).pages, pages.size()) << name;
    for (std::size_t i = 0; i < pages.size(); ++i) {
      const Image image = part_of(bytes, {.page = static_cast<std::uint32_t>(i + 1)});
      EXPECT_EQ(image.width, pages[i][0]) << name << i;
      EXPECT_EQ(image.height, pages[i][1]) << name << i;
      EXPECT_EQ(Sha256().update(image.rgb.data(), image.rgb.size()).hex(), pages[i][2]) << name << " " << i;
    }
    EXPECT_THAT(problem_of(bytes, {.page = 9}), HasSubstr("9: it has")) << name;
  }
}

TEST(Document, APictureIsADocumentOfOnePage) {
  const Bytes png = read_bytes(test_data() / "images" / "gray.png");
  EXPECT_EQ(read_document_info(png, DocumentKind::pages).pages, 1u);
  EXPECT_EQ(part_of(png, {.page = 1}).rgb, decode_image(png).rgb);
  EXPECT_THAT(problem_of(png, {.page = 2}), HasSubstr("there is no page 2: a PNG file has one picture"));
}

TEST(Document, MomentsOfAVideo) {
  const Bytes video = file("ten.avi");  // 5 a second, red growing by 25 each
  EXPECT_NEAR(read_document_info(video, DocumentKind::video).seconds, 2, 1e-6);
  const auto red_at = [&](double seconds) { return pixel(part_of(video, {.seconds = seconds}), 3, 3)[0]; };
  constexpr int kOfColours = 4;  // what planes of brightness and colour lose
  EXPECT_NEAR(red_at(0), 0, kOfColours);
  EXPECT_NEAR(red_at(0.2), 25, kOfColours);
  EXPECT_NEAR(red_at(0.39), 25, kOfColours);
  EXPECT_NEAR(red_at(1.9), 225, kOfColours);
  EXPECT_NEAR(red_at(2), 225, kOfColours);  // its end
  const Bytes lossy = file("ten.mp4");
  EXPECT_NEAR(pixel(part_of(lossy, {.seconds = 1.1}), 3, 3)[0], 125, 6);
  EXPECT_THAT(problem_of(file("three.pdf"), {.seconds = 0}), HasSubstr("damaged video"));
}

TEST(Document, BehindItsEndAVideoShowsNothing) {
  for (const char* name : {"ten.avi", "ten.mp4"}) {
    const Bytes video = file(name);
    EXPECT_EQ(problem_of(video, {.seconds = 2}), "") << name;
    EXPECT_EQ(problem_of(video, {.seconds = 2.01}),
              "image_unreadable: there is no moment 2.01 s: the video is 2 s long")
        << name;
    EXPECT_THAT(problem_of(video, {.seconds = 100}), HasSubstr("no moment 100 s")) << name;
    // Known before it is decoded: what only asks for sizes says so too.
    EXPECT_THROW(read_part_header(video, {.seconds = 100}), ItemError) << name;
  }
}

TEST(Document, PagesAreBoundedAsImagesAre) {
  const Bytes tiff = file("three.tif");
  ImageLimits limits;
  limits.max_pixels = 100;
  EXPECT_THROW(part_of(tiff, {.page = 1}, limits), ItemError);
}

TEST(Document, OfACutFileThatIsAcceptedThePagesAreThatCanBeFound) {
  ImageLimits accept;
  accept.truncated = TruncatedImages::accept;
  Bytes pdf = file("three.pdf"), gif = file("three.gif");
  pdf.resize(pdf.size() - 8);  // without its end-of-file mark
  EXPECT_THROW(read_document_info(pdf, DocumentKind::pages), ItemError);
  EXPECT_EQ(read_document_info(pdf, DocumentKind::pages, accept).pages, 3u);
  const Image whole = part_of(gif, {.page = 1});
  gif.resize(gif.size() - 4);
  EXPECT_THROW(read_document_info(gif, DocumentKind::pages), ItemError);
  EXPECT_EQ(read_document_info(gif, DocumentKind::pages, accept).pages, 3u);
  EXPECT_EQ(part_of(gif, {.page = 1}, accept).rgb, whole.rgb);
  EXPECT_EQ(part_of(gif, {.page = 3}, accept).width, whole.width);
  gif.resize(gif.size() / 2);
  const std::uint32_t found = read_document_info(gif, DocumentKind::pages, accept).pages;
  EXPECT_GE(found, 1u);
  EXPECT_LT(found, 3u);
}

TEST(Document, AnEmptyFileIsEmpty) {
  try {
    read_document_info({}, DocumentKind::video);
    FAIL();
  } catch (const ItemError& e) {
    EXPECT_NE(std::string(e.what()).find("0 bytes"), std::string::npos) << e.what();
  }
}

/// Whatever is done to the files, an item fails at most.
TEST(Document, SurvivesDamage) {
  for (const char* name : {"three.pdf", "three.gif", "three.webp", "three.tif", "ten.mp4"}) {
    const Bytes whole = file(name);
    for (std::size_t i = 0; i < 40; ++i) {
      Bytes bytes = whole;
      bytes[(i * 7919) % bytes.size()] ^= static_cast<std::byte>(1u << (i % 8));
      const ImagePart part = std::string(name) == "ten.mp4"
                                 ? ImagePart{.seconds = 0.5}
                                 : ImagePart{.page = 2, .dpi = 72, .pixels = 100'000};
      problem_of(bytes, part);
    }
  }
}

}  // namespace
}  // namespace mmbatch
