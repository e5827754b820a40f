#include "fusion/projector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/base/error.h"
#include "engine/weights/safetensors_folder.h"
#include "fusion/ops/tile_joining.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Rows whose only number is their index.
Matrix<float> numbered(std::size_t rows) {
  Matrix<float> out(rows, 1);
  for (std::size_t r = 0; r < rows; ++r) out.row(r)[0] = static_cast<float>(r);
  return out;
}

std::vector<float> values(const Features& features) {
  return {features->data(), features->data() + features->rows() * features->cols()};
}

TEST(Projector, RunsItsOperationsInOrder) {
  const testing::TemporaryFolder folder;
  testing::TensorFile file;
  file.add("a.weight", {2, 3}, {1, 0, -1, 0, 2, 0});
  file.add("a.bias", {2}, {0.5f, -1});
  file.add("b.weight", {1, 2}, {3, 4});
  file.add("b.bias", {1}, {0.25f});
  file.write(folder.path() / "model.safetensors");
  const SafetensorsFolder weights(folder.path());
  ProjectorConfig config;
  config.in = 3;
  config.ops = {LinearOp{.layer = {"a", 2}, .activation = Activation::silu}, LinearOp{.layer = {"b", 1}},
                ScaleOp{0.5f}};
  EXPECT_EQ(config.out(), 1u);
  const std::vector<float> x = {1, 2, 3, -1, 0, 1, 0, 0, 0};
  Scratch scratch;
  // Two images, of two rows and of one.
  const auto y = Projector(weights, config).forward({x.data(), 3, 3}, {{.rows = 2}, {.rows = 1}}, scratch);
  ASSERT_EQ(y.size(), 2u);
  ASSERT_EQ(y[0]->rows(), 2u);
  ASSERT_EQ(y[1]->rows(), 1u);
  const auto silu = [](double v) { return v / (1 + std::exp(-v)); };
  EXPECT_NEAR(y[0]->row(0)[0], 0.5 * (3 * silu(-1.5) + 4 * silu(3) + 0.25), 1e-5);
  EXPECT_NEAR(y[0]->row(1)[0], 0.5 * (3 * silu(-1.5) + 4 * silu(-1) + 0.25), 1e-5);
  EXPECT_NEAR(y[1]->row(0)[0], 0.5 * (3 * silu(0.5) + 4 * silu(-1) + 0.25), 1e-5);
  config.ops[1] = LinearOp{.layer = {"b", 2}};
  EXPECT_THAT(testing::message_of<ModelError>([&] { Projector(weights, config); }),
              HasSubstr("'b.weight': expected shape [2, 2]"));
}

TEST(Projector, JoinsTilesOfImagesOfDifferentShapes) {
  const testing::TemporaryFolder folder;
  testing::TensorFile file;
  file.add("newline", {1}, {-1});
  file.write(folder.path() / "model.safetensors");
  const SafetensorsFolder weights(folder.path());
  ProjectorConfig config;
  config.in = 1;
  config.ops = {JoinTilesOp{"newline"}};
  // A wide picture in one row of two tiles, of 2 x 2 features each, and a square one in one tile.
  const FeatureMap wide{
      .rows = 12, .grid = {2, 2}, .tiles = {.rows = 1, .columns = 2}, .width = 20, .height = 10};
  const FeatureMap square{
      .rows = 8, .grid = {2, 2}, .tiles = {.rows = 1, .columns = 1}, .width = 7, .height = 7};
  Scratch scratch;
  const Matrix<float> x = numbered(20);
  const auto y = Projector(weights, config).forward(x.view(), {wide, square}, scratch);
  EXPECT_THAT(values(y[0]), ElementsAre(0, 1, 2, 3, 4, 5, 8, 9, -1, 6, 7, 10, 11, -1));
  EXPECT_THAT(values(y[1]), ElementsAre(12, 13, 14, 15, 16, 17, -1, 18, 19, -1));
  EXPECT_EQ(projected(config, wide).rows, y[0]->rows());
  EXPECT_EQ(projected(config, square).rows, y[1]->rows());
}

TEST(Projector, PaddingFallsAwayWhenTilesAreJoined) {
  // 8 x 4 pixels in a square of two by two tiles: the upper and the lower row of features are padding.
  const FeatureMap image{
      .rows = 20, .grid = {2, 2}, .tiles = {.rows = 2, .columns = 2}, .width = 8, .height = 4};
  EXPECT_EQ(joined_rows(image), 4u + 2 * 5);
  Matrix<float> out(14, 1);
  const std::vector<float> newline = {-1};
  const Matrix<float> x = numbered(20);
  join_tiles(x.view(), image, newline, out.view());
  EXPECT_THAT(std::vector<float>(out.data(), out.data() + 14),
              ElementsAre(0, 1, 2, 3, 6, 7, 10, 11, -1, 12, 13, 16, 17, -1));
}

TEST(Projector, RowsOfLengthOne) {
  const testing::TemporaryFolder folder;
  testing::TensorFile file;
  file.add("unused", {1}, {1});
  file.write(folder.path() / "model.safetensors");
  const SafetensorsFolder weights(folder.path());
  ProjectorConfig config;
  config.in = 2;
  config.ops = {UnitLengthOp{}};
  const std::vector<float> x = {3, 4, 0, 0};
  Scratch scratch;
  const auto y = Projector(weights, config).forward({x.data(), 2, 2}, {{.rows = 2}}, scratch);
  EXPECT_THAT(values(y[0]), ElementsAre(0.6f, 0.8f, 0, 0));
}

}  // namespace
}  // namespace mmbatch
