#include "vision/preprocess/budget/smart_resize.h"

#include <gtest/gtest.h>

#include <tuple>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

struct Sized {
  int width, height, unit;
  std::int64_t least, most, new_width, new_height;
};

TEST(SmartResize, IsThatOfTransformers) {
  // What smart_resize() of transformers 5.23 returns.
  const Sized cases[] = {{1, 1, 28, 3136, 1003520, 56, 56},
                         {1, 200, 28, 3136, 1003520, 28, 812},
                         {200, 1, 32, 65536, 16777216, 3648, 32},
                         {4032, 3024, 28, 3136, 1003520, 1148, 840},
                         {4032, 3024, 32, 65536, 16777216, 4032, 3008},
                         {14, 14, 28, 3136, 1003520, 56, 56},
                         {42, 70, 28, 784, 1003520, 56, 56},
                         {70, 42, 28, 784, 100352, 56, 56},
                         {640, 480, 28, 200704, 200704, 504, 364},
                         {9000, 50, 32, 65536, 16777216, 8992, 64},
                         {8000, 6000, 32, 65536, 16777216, 4704, 3520},
                         {98, 126, 28, 100, 5000, 56, 56},
                         {2474, 1954, 14, 784, 100352, 350, 280},
                         {1063, 2261, 12, 1, 1003520, 684, 1452},
                         {2216, 2262, 14, 784, 1003520, 980, 1008},
                         {950, 2605, 32, 65536, 65536, 128, 416},
                         {2751, 276, 14, 65536, 65536, 798, 70},
                         {128, 1104, 14, 1, 100352, 98, 924},
                         {1618, 2990, 32, 65536, 1003520, 736, 1344},
                         {400, 148, 32, 784, 100352, 384, 160},
                         {1057, 2757, 14, 65536, 65536, 154, 406},
                         {2078, 1590, 32, 3136, 1003520, 1120, 864},
                         {952, 1384, 28, 65536, 16777216, 952, 1372},
                         {2750, 2863, 12, 3136, 16777216, 2748, 2868},
                         {2343, 2343, 14, 3136, 16777216, 2338, 2338},
                         {1094, 1172, 12, 784, 16777216, 1092, 1176},
                         {2617, 1993, 12, 1, 1003520, 1140, 864},
                         {1682, 625, 12, 3136, 3136, 84, 24},
                         {1701, 495, 12, 3136, 1003520, 1704, 492},
                         {2943, 2416, 12, 1, 1003520, 1104, 900},
                         {967, 152, 28, 3136, 16777216, 980, 140},
                         {443, 2458, 28, 1, 2880, 28, 112},
                         {1195, 2506, 12, 784, 1003520, 684, 1440},
                         {1392, 1292, 28, 784, 2880, 28, 28},
                         {1544, 1893, 28, 784, 1003520, 896, 1092},
                         {2077, 1121, 32, 1, 16777216, 2080, 1120},
                         {1792, 1066, 32, 784, 100352, 384, 224},
                         {1701, 2383, 28, 3136, 3136, 28, 56},
                         {2523, 2426, 28, 1, 1003520, 1008, 980},
                         {1910, 1455, 14, 1, 100352, 350, 266}};
  for (const Sized& one : cases) {
    const ResizedSize size = smart_resize(one.width, one.height, {.unit = one.unit}, {one.least, one.most});
    EXPECT_EQ(std::tuple(size.width, size.height), std::tuple(one.new_width, one.new_height))
        << one.width << " x " << one.height << ", unit " << one.unit;
  }
}

TEST(SmartResize, ShortSidesAreWhatEachFamilyMakesOfThem) {
  const auto expect = [](const ResizeRule& rule, std::initializer_list<Sized> cases) {
    for (const Sized& one : cases) {
      const ResizedSize size = smart_resize(one.width, one.height, rule, {one.least, one.most});
      EXPECT_EQ(std::tuple(size.width, size.height), std::tuple(one.new_width, one.new_height))
          << one.width << " x " << one.height;
    }
  };
  // What the three functions of that name in transformers 5.23 return.
  expect({.unit = 28, .frames = 2, .short_sides = ShortSides::enlarged},
         {{1, 1, 28, 12544, 11760000, 84, 84},
          {27, 40, 28, 40000, 50000, 140, 196},
          {5, 600, 28, 40000, 50000, 28, 1708},
          {56, 9, 28, 40000, 50000, 364, 84},
          {9, 136, 28, 12544, 11760000, 28, 420},
          {296, 57, 28, 12544, 11760000, 308, 56},
          {807, 1570, 28, 40000, 50000, 112, 196},
          {189, 20, 28, 6272, 14112, 252, 28},
          {2899, 1385, 28, 1000, 200001, 448, 196}});
  expect({.unit = 28, .short_sides = ShortSides::enlarged_nearest},
         {{1, 1, 28, 147456, 2359296, 392, 392},
          {27, 40, 28, 40000, 50000, 168, 252},
          {5, 600, 28, 147456, 2359296, 56, 4228},
          {600, 5, 28, 1000, 100001, 3360, 28},
          {1896, 443, 28, 3136, 9408, 196, 28},
          {854, 1396, 28, 147456, 2359296, 840, 1400},
          {67, 20, 28, 1000, 100001, 84, 28},
          {96, 47, 28, 1000, 100001, 84, 56},
          {61, 39, 28, 40000, 50000, 252, 168}});
  expect({.unit = 16, .short_sides = ShortSides::one_unit}, {{1, 1, 16, 16384, 65536, 128, 128},
                                                             {7, 40, 16, 1024, 4096, 16, 80},
                                                             {92, 30, 16, 1024, 4096, 96, 32},
                                                             {2000, 2822, 16, 16384, 65536, 208, 304},
                                                             {213, 53, 16, 1024, 4096, 128, 16},
                                                             {1387, 738, 16, 256, 2304, 64, 32},
                                                             {2060, 1480, 16, 256, 2304, 48, 32},
                                                             {206, 36, 16, 256, 2304, 112, 16}});
}

TEST(SmartResize, RefusesExtremeShapes) {
  EXPECT_NO_THROW(smart_resize(200, 1, {.unit = 28}, {}));
  EXPECT_THROW(smart_resize(201, 1, {.unit = 28}, {}), ItemError);
  EXPECT_THROW(smart_resize(2, 402, {.unit = 28}, {}), ItemError);
}

}  // namespace
}  // namespace mmbatch
