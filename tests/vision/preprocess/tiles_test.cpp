#include "vision/preprocess/tiles.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/base/error.h"
#include "tests/vision/expected.h"

namespace mmbatch {
namespace {

Config config(const std::string& keys = R"("size": {"shortest_edge": 4}, "crop_size": 4)") {
  return Config::parse("{\"do_normalize\": false, " + keys + "}", "preprocessor_config.json");
}

std::string complaint(const Config& config, std::vector<GridPinpoint> pinpoints) {
  try {
    const Tiler made(config, std::move(pinpoints));
    return "";
  } catch (const ModelError& e) {
    return e.what();
  }
}

TEST(Tiles, PixelValuesAreHuggingFaces) {
  const auto folder = test_data() / "reference" / "llava-next";
  const Config file = Config::read(folder / "model" / "preprocessor_config.json");
  const Tiler tiler(file, read_grid_pinpoints(file, "image_grid_pinpoints"));
  const ExpectedTensors expected(folder / "expected.safetensors");
  const auto cases = read_json(folder / "expected.json").at("cases");
  ASSERT_EQ(cases.size(), 7u);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const std::string name = "case" + std::to_string(i) + ".pixel_values";
    if (!expected.has(name)) {
      ASSERT_GE(i, 2u);
      break;
    }
    const Image image = read_image(folder / "images" / cases[i].at("image").get<std::string>());
    const TiledImage found = tiler.apply(image);
    const std::vector<float> values = expected.values(name);
    ASSERT_EQ(found.tiles.size(), expected.shape(name)[0]) << name;
    EXPECT_EQ(found.tiles.size(), static_cast<std::size_t>(found.grid.tiles()));
    EXPECT_EQ(found.width, image.width);
    EXPECT_EQ(found.height, image.height);
    const float* next = values.data();
    for (const Matrix<float>& tile : found.tiles) {
      ASSERT_EQ(tile.rows(), 3u);
      ASSERT_EQ(tile.cols(), 56u * 56u);
      for (std::size_t k = 0; k < tile.rows() * tile.cols(); ++k, ++next) {
        ASSERT_EQ(tile.data()[k], *next) << name << ' ' << k;
      }
    }
  }
}

TEST(Tiles, TheGridFollowsThePicturesShape) {
  const Tiler tiler(config(), {{8, 4}, {4, 8}, {8, 8}, {4, 12}, {12, 4}});
  EXPECT_EQ(tiler.grid(100, 100).rows, 2);
  EXPECT_EQ(tiler.grid(100, 100).columns, 2);
  EXPECT_EQ(tiler.grid(300, 100).columns, 3);
  EXPECT_EQ(tiler.grid(300, 100).rows, 1);
  EXPECT_EQ(tiler.grid(10, 100).rows, 3);
  // One pixel is kept whole by all: the least padding decides, and of equals the first.
  EXPECT_EQ(tiler.grid(1, 1).rows, 1);
  EXPECT_EQ(tiler.grid(1, 1).columns, 2);
  EXPECT_EQ(tiler.grid(1, 1).tiles(), 3);
  // So thin that no pixel of it is left at any scale.
  EXPECT_EQ(tiler.grid(1000000, 1).tiles(), 3);
}

TEST(Tiles, ThePictureIsCentredOnBlack) {
  const Tiler tiler(config(), {{8, 8}});
  Image white(6, 5);
  white.rgb.assign(white.rgb.size(), 255);
  const Image padded = tiler.padded(white);  // resized to 8 x ceil(5 * 8 / 6) = 8 x 7: the odd row is below
  ASSERT_EQ(padded.width, 8);
  ASSERT_EQ(padded.height, 8);
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 24; ++x) EXPECT_EQ(padded.row(y)[x], y < 7 ? 255 : 0);
  }
  const TiledImage tiled = tiler.apply(white);
  ASSERT_EQ(tiled.tiles.size(), 5u);
  EXPECT_EQ(tiled.tiles[0].row(0)[15], 1.0f);  // squashed without padding
  EXPECT_EQ(tiled.tiles[4].row(2)[11], 1.0f);
  EXPECT_EQ(tiled.tiles[4].row(2)[12], 0.0f);  // row 3 of the tile at the bottom
}

TEST(Tiles, ExtremePictures) {
  const Tiler tiler(config(), {{8, 4}, {4, 8}});
  for (const auto& [width, height] : {std::pair{1, 1}, {100000, 1}, {1, 100000}}) {
    EXPECT_EQ(tiler.apply(Image(width, height)).tiles.size(), 3u);
  }
}

TEST(Tiles, ErrorsNameFileAndKey) {
  const auto names = [](const std::string& message, const std::string& key) {
    EXPECT_NE(message.find("preprocessor_config.json: key '" + key + "'"), std::string::npos) << message;
  };
  names(complaint(config(), {}), "image_grid_pinpoints");
  names(complaint(config(), {{8, 6}}), "image_grid_pinpoints");
  names(complaint(config(), {{16384, 16384}}), "image_grid_pinpoints");
  names(complaint(config(R"("size": {"shortest_edge": 8}, "crop_size": 4)"), {{8, 8}}), "size");
  names(complaint(config(R"("size": 4, "crop_size": {"height": 4, "width": 8})"), {{8, 8}}), "crop_size");
  for (const char* list : {"[[4]]", "[4, 8]", "[[4, 0]]", "[[4, 1.5]]", "[[4, 99999]]", "\"x\""}) {
    try {
      read_grid_pinpoints(config(std::string(R"("grid": )") + list), "grid");
      FAIL() << list;
    } catch (const ModelError& e) {
      names(e.what(), "grid");
    }
  }
  EXPECT_TRUE(read_grid_pinpoints(config(), "grid").empty());
  const auto pinpoints = read_grid_pinpoints(config(R"("grid": [[4, 8]])"), "grid");
  ASSERT_EQ(pinpoints.size(), 1u);
  EXPECT_EQ(pinpoints[0].height, 4);
  EXPECT_EQ(pinpoints[0].width, 8);
}

}  // namespace
}  // namespace mmbatch
