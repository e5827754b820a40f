#include "vision/preprocess/preprocess.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "engine/base/error.h"
#include "tests/vision/expected.h"

namespace mmbatch {
namespace {

constexpr const char* kScaling =
    R"("rescale_factor": 0.00392156862745098, "image_mean": [0.5, 0.25, 0.125], "image_std": [0.5, 0.25, 2])";

Preprocessor from(const std::string& keys) {
  return Preprocessor(
      Config::parse("{" + std::string(kScaling) + ", " + keys + "}", "preprocessor_config.json"));
}

/// What the constructor says to `json`.
std::string complaint(const std::string& json) {
  try {
    const Preprocessor made(Config::parse(json, "preprocessor_config.json"));
    return "";
  } catch (const ModelError& e) {
    return e.what();
  }
}

Image gradient(int width, int height) {
  Image image(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width * 3; ++x) image.row(y)[x] = static_cast<std::uint8_t>(1 + y * 31 + x);
  }
  return image;
}

class Reference : public ::testing::TestWithParam<const char*> {};

TEST_P(Reference, PixelValuesAreHuggingFaces) {
  const auto folder = test_data() / "reference" / GetParam();
  const Preprocessor preprocessor(Config::read(folder / "model" / "preprocessor_config.json"));
  const ExpectedTensors expected(folder / "expected.safetensors");
  const auto cases = read_json(folder / "expected.json").at("cases");
  ASSERT_FALSE(cases.empty());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const std::string name = "case" + std::to_string(i) + ".pixel_values";
    if (!expected.has(name)) {
      ASSERT_GE(i, 2u);
      break;
    }
    const Image image = read_image(folder / "images" / cases[i].at("image").get<std::string>());
    const Matrix<float> found = preprocessor.pixel_values(image);
    const std::vector<float> values = expected.values(name);
    const std::vector<std::size_t> shape = {3, static_cast<std::size_t>(preprocessor.output_height()),
                                            static_cast<std::size_t>(preprocessor.output_width())};
    ASSERT_EQ(expected.shape(name), shape);
    ASSERT_EQ(found.rows() * found.cols(), values.size());
    // The arithmetic is the same, so the bits are.
    for (std::size_t k = 0; k < values.size(); ++k) ASSERT_EQ(found.data()[k], values[k]) << name << ' ' << k;
  }
}

INSTANTIATE_TEST_SUITE_P(Preprocess, Reference,
                         ::testing::Values("llava-gqa", "llava-mqa-full", "paligemma"));

TEST(Preprocess, CropsAsPillowDoes) {
  const auto folder = test_data() / "preprocess";
  for (const auto& entry : read_json(folder / "cases.json")) {
    const std::string name = entry.at("shortest_edge_then_center_crop");
    const std::string size = std::to_string(entry.at("size").get<int>());
    const Image source = read_image(folder / entry.at("source").get<std::string>());
    const Preprocessor preprocessor =
        from(R"("size": {"shortest_edge": )" + size + R"(}, "crop_size": )" + size);
    EXPECT_EQ(preprocessor.fit(source).rgb, read_image(folder / name).rgb) << name;
  }
}

TEST(Preprocess, PixelValuesAreRescaledAndNormalized) {
  const Preprocessor preprocessor = from(R"("size": {"height": 2, "width": 3})");
  const Image image = gradient(3, 2);
  const Matrix<float> values = preprocessor.pixel_values(image);
  ASSERT_EQ(values.rows(), 3u);
  ASSERT_EQ(values.cols(), 6u);
  EXPECT_FLOAT_EQ(values.row(0)[4], (image.row(1)[3] / 255.0f - 0.5f) / 0.5f);
  EXPECT_FLOAT_EQ(values.row(2)[5], (image.row(1)[8] / 255.0f - 0.125f) / 2.0f);
}

TEST(Preprocess, StepsCanBeLeftOut) {
  const Config config = Config::parse(
      R"({"do_rescale": false, "do_normalize": false, "do_resize": false, "crop_size": 2})", "config");
  const Preprocessor preprocessor(config);
  const Image image = gradient(4, 4);
  EXPECT_EQ(preprocessor.pixel_values(image).row(1)[0], static_cast<float>(image.row(1)[4]));
  const Config rescaled =
      Config::parse(R"({"do_normalize": false, "size": 4, "rescale_factor": 0.5})", "config");
  EXPECT_EQ(Preprocessor(rescaled).pixel_values(image).row(0)[0], 0.5f * image.rgb[0]);
}

TEST(Preprocess, ALoneSizeIsTheShortEdgeWhereThePictureIsCropped) {
  const Image image = gradient(40, 20);
  const Preprocessor cropped = from(R"("size": 10, "crop_size": 10, "do_center_crop": true)");
  EXPECT_EQ(cropped.fit(image).rgb, from(R"("size": {"shortest_edge": 10}, "crop_size": 10)").fit(image).rgb);
  const Preprocessor squashed = from(R"("size": 10)");
  EXPECT_EQ(squashed.fit(image).rgb, from(R"("size": {"width": 10, "height": 10})").fit(image).rgb);
  EXPECT_NE(cropped.fit(image).rgb, squashed.fit(image).rgb);
  const Preprocessor uncropped = from(R"("size": 10, "crop_size": 8, "do_center_crop": false)");
  EXPECT_EQ(uncropped.output_width(), 10);
}

TEST(Preprocess, ACropBeyondThePictureIsBlackThere) {
  // Hugging Face puts the odd row and column before the picture.
  const Preprocessor preprocessor = from(R"("do_resize": false, "crop_size": {"height": 5, "width": 4})");
  EXPECT_EQ(preprocessor.output_width(), 4);
  EXPECT_EQ(preprocessor.output_height(), 5);
  const Image image = gradient(6, 2);
  const Image out = preprocessor.fit(image);
  for (int y = 0; y < 5; ++y) {
    for (int x = 0; x < 12; ++x) {
      EXPECT_EQ(out.row(y)[x], y == 2 || y == 3 ? image.row(y - 2)[x + 3] : 0) << y << ' ' << x;
    }
  }
}

TEST(Preprocess, SmallAndExtremePictures) {
  const Preprocessor preprocessor = from(R"("size": {"shortest_edge": 56}, "crop_size": 56)");
  for (const Image& image : {gradient(1, 1), gradient(1, 3000), gradient(300000, 1), gradient(7, 5000)}) {
    const Image out = preprocessor.fit(image);
    EXPECT_EQ(out.width, 56);
    EXPECT_EQ(out.height, 56);
  }
  const Preprocessor large = from(R"("size": {"shortest_edge": 4096}, "crop_size": 56)");
  EXPECT_THROW(large.fit(gradient(1 << 20, 1)), ItemError);
}

TEST(Preprocess, ErrorsNameFileAndKey) {
  const std::string scaling = kScaling;
  const auto names = [](const std::string& json, const std::string& key) {
    const std::string message = complaint(json);
    EXPECT_NE(message.find("preprocessor_config.json: key '" + key + "'"), std::string::npos) << json << "\n"
                                                                                              << message;
  };
  names("{" + scaling + "}", "size");
  names("{" + scaling + R"(, "size": "big"})", "size");
  names("{" + scaling + R"(, "size": 0})", "size");
  names("{" + scaling + R"(, "size": 5000})", "size");
  names("{" + scaling + R"(, "size": {"height": 3}})", "size");
  names("{" + scaling + R"(, "size": {"shortest_edge": -4}, "crop_size": 4})", "size.shortest_edge");
  names("{" + scaling + R"(, "size": {"shortest_edge": 4, "longest_edge": 9}, "crop_size": 4})", "size");
  names("{" + scaling + R"(, "size": {"shortest_edge": 4}})", "crop_size");
  names("{" + scaling + R"(, "size": {"shortest_edge": 4}, "do_center_crop": true})", "crop_size");
  names("{" + scaling + R"(, "size": 4, "crop_size": {"height": 4, "width": "x"}})", "crop_size.width");
  names("{" + scaling + R"(, "size": 4, "resample": 9})", "resample");
  names("{" + scaling + R"(, "size": 4, "do_resize": 1})", "do_resize");
  names(R"({"size": 4})", "image_mean");
  names(R"({"size": 4, "image_mean": [1e308, 0, 0], "image_std": [1, 1, 1]})", "image_mean");
  names(R"({"size": 4, "image_mean": [0, 0, 0], "image_std": [1, -0.5, 1]})", "image_std");
  names(R"({"size": 4, "image_mean": [0, 0, 0], "image_std": [1, 1e-40, 1]})", "image_std");
  names(R"({"size": 4, "image_mean": 0.5})", "image_std");
  names(R"({"size": 4, "do_normalize": false, "rescale_factor": 0})", "rescale_factor");
  names(R"({"size": 4, "do_normalize": false, "rescale_factor": -0.004})", "rescale_factor");
  names(R"({"size": 4, "do_normalize": false, "rescale_factor": 255})", "rescale_factor");
  names(R"({"size": 4, "do_normalize": false, "resample": 6})", "resample");
  names(R"({"size": 4, "do_normalize": false, "do_pad": true})", "do_pad");
  names(R"({"size": 4, "image_mean": [0, 0], "image_std": [1, 1, 1]})", "image_mean");
  names(R"({"size": 4, "image_mean": [0, 0, 0], "image_std": [1, 0, 1]})", "image_std");
  names(R"({"size": 4, "image_mean": [0, 0, 0], "image_std": [1, 1, "1"]})", "image_std");
  EXPECT_EQ(complaint("{" + scaling + R"(, "size": 4, "do_convert_rgb": null, "image_processor_type": "X"})"),
            "");
}

TEST(Preprocessor, APictureIsPaddedToASquareInTheMeanColour) {
  const Config config = Config::parse(
      R"({"size": 4, "do_pad": true, "image_mean": [0.5, 0.25, 1], "image_std": [1, 1, 1]})", "config");
  const Preprocessor preprocessor(config, Padding::to_square);
  Image wide(4, 1);
  for (std::uint8_t& sample : wide.rgb) sample = 9;
  const Image square = preprocessor.fit(wide);
  ASSERT_EQ(square.width, 4);
  ASSERT_EQ(square.height, 4);
  for (int y = 0; y < 4; ++y) {  // one row of four: (4 - 1) / 2 rows stand above it
    const std::array<int, 3> expected = y == 1 ? std::array{9, 9, 9} : std::array{127, 63, 255};
    for (int channel = 0; channel < 3; ++channel)
      EXPECT_EQ(square.row(y)[channel], expected[static_cast<std::size_t>(channel)]) << y << " " << channel;
  }
  EXPECT_THROW(preprocessor.fit(Image(Preprocessor::kMaxPaddedSide + 1, 1)), ItemError);
}

}  // namespace
}  // namespace mmbatch
