#include "vision/preprocess/resize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <string>

#include "engine/base/error.h"
#include "engine/base/threads.h"
#include "tests/vision/expected.h"
#include "vision/preprocess/preprocess.h"
#include "vision/preprocess/resize_filter.h"
#include "vision/preprocess/resize_kernel.h"

namespace mmbatch {
namespace {

constexpr Resample kAll[] = {Resample::nearest, Resample::lanczos, Resample::bilinear,
                             Resample::bicubic, Resample::box,     Resample::hamming};

Image noise(int width, int height, unsigned seed) {
  Image image(width, height);
  std::mt19937 random(seed);
  for (std::uint8_t& sample : image.rgb) sample = static_cast<std::uint8_t>(random());
  return image;
}

Image crop(const Image& image, ResizeWindow window) {
  Image out(window.width, window.height);
  for (int y = 0; y < window.height; ++y) {
    std::memcpy(out.row(y), image.row(static_cast<int>(window.top) + y) + 3 * window.left, out.row_bytes());
  }
  return out;
}

TEST(Resize, EqualsPillowForEveryFilter) {
  const auto folder = test_data() / "images" / "resize";
  const Image source = read_image(folder / "source.png");
  int checked = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    int code = 0, width = 0, height = 0;
    const std::string name = entry.path().filename().string();
    if (std::sscanf(name.c_str(), "%d_%dx%d.png", &code, &width, &height) != 3) continue;
    const Image found =
        resize(source, {width, height}, {resample_from(code).value(), ResizeBackend::pillow_12});
    EXPECT_EQ(found.rgb, read_image(entry.path()).rgb) << name;
    ++checked;
  }
  EXPECT_EQ(checked, 30);
}

TEST(Resize, TheOrderOfThePassesIsThatOfPillow13) {
  Image source(5, 12);
  for (int y = 0; y < source.height; ++y) {
    for (int x = 0; x < source.width; ++x) {
      for (int c = 0; c < 3; ++c)
        source.row(y)[3 * x + c] =
            static_cast<std::uint8_t>((x * x * 37 + y * 59 + y * x * 13 + c * 83) % 256);
    }
  }
  using Samples = decltype(source.rgb);
  const Samples wider{98,  109, 134, 121, 106, 125, 147, 119, 123, 154, 148, 134, 116, 109, 135, 101,
                      108, 145, 106, 130, 155, 138, 127, 103, 136, 125, 116, 138, 130, 134, 146, 144,
                      142, 150, 141, 123, 142, 136, 124, 131, 134, 136, 104, 150, 148, 127, 111, 133,
                      146, 97,  131, 142, 136, 149, 132, 125, 108, 120, 128, 124, 112, 140, 165};
  EXPECT_EQ(resize(source, {7, 3}, Resample::bicubic).rgb, wider);
  EXPECT_NE(resize(source, {7, 3}, {Resample::bicubic, ResizeBackend::pillow_12}).rgb, wider);
  const Samples narrower{130, 117, 130, 116, 122, 142, 143, 129, 120,
                         143, 138, 130, 128, 122, 134, 129, 127, 133};
  EXPECT_EQ(resize(source, {2, 3}, Resample::lanczos).rgb, narrower);
  EXPECT_NE(resize(source, {2, 3}, {Resample::lanczos, ResizeBackend::pillow_12}).rgb, narrower);
  const Image window = resize_window(source, {7, 3}, {2, 1, 3, 2}, Resample::bicubic);
  for (int y = 0; y < 2; ++y)
    EXPECT_TRUE(std::equal(window.row(y), window.row(y) + 9, wider.data() + 3 * (7 * (y + 1) + 2)));
}

TEST(Resize, EqualsPillowOnPhotosAndDrawings) {
  const auto folder = test_data() / "preprocess";
  const auto cases = read_json(folder / "cases.json");
  ASSERT_EQ(cases.size(), 10u);
  for (const auto& entry : cases) {
    const std::string name = entry.at("direct_resize");
    const int size = entry.at("size");
    const Image source = read_image(folder / entry.at("source").get<std::string>());
    EXPECT_EQ(resize(source, {size, size}, {Resample::bicubic, ResizeBackend::pillow_12}).rgb,
              read_image(folder / name).rgb)
        << name;
  }
}

TEST(Resize, AWindowIsThatPartOfTheWhole) {
  const Image source = noise(83, 59, 1);
  for (const Resample resample : kAll) {
    for (const ResizedSize size : {ResizedSize{31, 20}, ResizedSize{200, 150}, ResizedSize{83, 150}}) {
      const Image whole = resize(source, size, resample);
      for (const ResizeWindow window : {ResizeWindow{0, 0, 5, 7}, ResizeWindow{13, 9, 18, 11},
                                        ResizeWindow{size.width - 1, size.height - 1, 1, 1}}) {
        const Image part = resize_window(source, size, window, resample);
        EXPECT_EQ(part.rgb, crop(whole, window).rgb)
            << static_cast<int>(resample) << ' ' << size.width << ' ' << window.left;
      }
    }
  }
}

TEST(Resize, TheSameSizeChangesNothing) {
  const Image source = noise(40, 30, 2);
  for (const Resample resample : kAll) {
    EXPECT_EQ(resize(source, {40, 30}, resample).rgb, source.rgb);
    EXPECT_EQ(resize_window(source, {40, 30}, {0, 0, 40, 30}, resample).rgb, source.rgb);
  }
}

TEST(Resize, AOneColouredPictureStaysSo) {
  Image source(19, 23);
  for (std::size_t i = 0; i < source.rgb.size(); ++i) source.rgb[i] = i % 3 == 0 ? 255 : i % 3 == 1 ? 128 : 1;
  for (const Resample resample : kAll) {
    const Image out = resize(source, {50, 7}, resample);
    for (std::size_t i = 0; i < out.rgb.size(); ++i) ASSERT_EQ(out.rgb[i], source.rgb[i % 3]);
  }
}

TEST(Resize, DoesNotDependOnThreads) {
  const Image source = noise(500, 700, 3);
  const Image expected = resize(source, {336, 400}, Resample::bicubic);
  for (const int threads : {1, 2}) {
    Arena arena(threads);
    Image found;
    arena.run([&] { found = resize(source, {336, 400}, Resample::bicubic); });
    EXPECT_EQ(found.rgb, expected.rgb);
  }
}

TEST(Resize, ExtremeShapesNeedMemoryForTheWindowOnly) {
  const Image line = noise(1 << 20, 1, 4);
  const Image part =
      resize_window(line, {std::int64_t{336} << 20, 336}, {176160600, 0, 336, 336}, Resample::bicubic);
  EXPECT_EQ(part.width, 336);
  EXPECT_EQ(resize(line, {224, 224}, Resample::lanczos).height, 224);
  const Image column = noise(1, 1 << 20, 5);
  EXPECT_EQ(resize(column, {3, 1}, Resample::bicubic).height, 1);
}

TEST(Resize, RefusesSidesBeyondItsArithmetic) {
  const Image line = noise(100, 1, 6);
  try {
    resize_window(line, {kMaxResizedSide + 1, 5}, {0, 0, 5, 5}, Resample::bicubic);
    FAIL();
  } catch (const ItemError& e) {
    EXPECT_EQ(e.code(), ErrorCode::image_too_large);
    EXPECT_NE(std::string(e.what()).find("100 x 1"), std::string::npos) << e.what();
  }
}

TEST(Resize, CodesArePillows) {
  EXPECT_EQ(resample_from(3), Resample::bicubic);
  EXPECT_EQ(resample_from(2), Resample::bilinear);
  EXPECT_EQ(resample_from(6), std::nullopt);
  EXPECT_EQ(resample_from(-1), std::nullopt);
}

TEST(ResizeFilter, WeightsSumToOneAndTapsStayInside) {
  for (const Resample resample :
       {Resample::lanczos, Resample::bilinear, Resample::bicubic, Resample::box, Resample::hamming}) {
    for (const std::int64_t resized : {1, 2, 7, 100, 101, 999}) {
      const ResizeFilter filter = make_resize_filter({100, resized, 0, static_cast<int>(resized)}, resample);
      ASSERT_EQ(filter.outputs.size(), static_cast<std::size_t>(resized));
      int begin = 0, end = 0;
      for (const ResizeFilter::Taps& taps : filter.outputs) {
        EXPECT_GE(taps.begin, begin);
        EXPECT_GE(taps.begin + taps.count, end);
        EXPECT_GE(taps.count, 1);
        begin = taps.begin;
        end = taps.begin + taps.count;
        EXPECT_LE(end, 100);
        double sum = 0;
        for (int i = 0; i < taps.count; ++i)
          sum += filter.weights[taps.weights + static_cast<std::size_t>(i)];
        EXPECT_NEAR(sum / (1 << kWeightBits), 1.0, 1e-4);
      }
    }
  }
}

TEST(ResizeKernel, AllVariantsGiveTheSameBits) {
  const Image source = noise(211, 9, 7);
  const ResizeKernel& fast = resize_kernel();
  const ResizeKernel& portable = portable_resize_kernel();
  for (const std::int64_t width : {3, 50, 333}) {
    const HorizontalFilter filter(
        make_resize_filter({211, width, 0, static_cast<int>(width)}, Resample::lanczos));
    const auto columns = static_cast<std::size_t>(width) * 3;
    Matrix<std::int32_t> scratch(ResizeKernel::kRows, horizontal_scratch(filter.columns));
    for (const std::size_t rows : {1, 3, 4}) {
      Matrix<std::uint8_t> a(rows, columns), b(rows, columns);
      fast.horizontal(source, 2, filter, scratch.data(), a.view());
      portable.horizontal(source, 2, filter, scratch.data(), b.view());
      EXPECT_EQ(std::memcmp(a.data(), b.data(), a.bytes()), 0);
      auto sums = Matrix<std::int32_t>::zeros(2, columns);
      for (const std::int32_t weight : {2000000, -900000, 3094304}) {
        fast.accumulate(a.row(0), weight, columns, sums.row(0));
        portable.accumulate(a.row(0), weight, columns, sums.row(1));
      }
      fast.finish(sums.row(0), columns, a.row(0));
      portable.finish(sums.row(1), columns, b.row(0));
      EXPECT_EQ(std::memcmp(a.row(0), b.row(0), columns), 0);
    }
  }
}

}  // namespace
}  // namespace mmbatch
