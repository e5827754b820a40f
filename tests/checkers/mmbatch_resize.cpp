// mmbatch_resize DIR: holds this project's resize against pictures that Pillow made.
//
// DIR/cases.json is a list of {source, size, shortest_edge_then_center_crop, direct_resize}: a picture, a
// side in pixels, and the files with Pillow's bicubic results (shorter side to `size` and cut out of the
// middle; both sides to `size`). Prints one line per case. Exit code 0 when every pixel is equal, 1 when not,
// 2 when something cannot be read.

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/base/config.h"
#include "vision/image/image_decode.h"
#include "vision/preprocess/preprocess.h"

namespace {

using mmbatch::Image;
namespace fs = std::filesystem;

std::vector<char> read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw std::runtime_error(path.string() + ": cannot be read");
  return {std::istreambuf_iterator<char>(stream), {}};
}

Image read_image(const fs::path& path) {
  const std::vector<char> bytes = read_file(path);
  try {
    return mmbatch::decode_image(std::as_bytes(std::span(bytes)));
  } catch (const std::exception& e) {
    throw std::runtime_error(path.string() + ": " + e.what());
  }
}

/// `image` through the steps that a preprocessor_config.json with these size and crop keys asks for.
Image fit(const Image& image, const std::string& size_keys) {
  const std::string json = R"({"resample": 3, "do_normalize": false, )" + size_keys + "}";
  return mmbatch::Preprocessor(mmbatch::Config::parse(json, "case")).fit(image);
}

struct Difference {
  std::size_t pixels = 0;
  int largest = 0;
};

/// Pictures of different sizes differ in every pixel.
Difference compare(const Image& found, const Image& expected) {
  if (found.width != expected.width || found.height != expected.height) return {found.rgb.size() / 3, 255};
  Difference difference;
  for (std::size_t i = 0; i < found.rgb.size(); i += 3) {
    int largest = 0;
    for (std::size_t c = i; c < i + 3; ++c) {
      largest = std::max(largest, std::abs(found.rgb[c] - expected.rgb[c]));
    }
    if (largest > 0) ++difference.pixels;
    difference.largest = std::max(difference.largest, largest);
  }
  return difference;
}

bool check_case(const fs::path& folder, const nlohmann::json& entry) {
  const Image source = read_image(folder / entry.at("source").get<std::string>());
  const int size = entry.at("size").get<int>();
  const auto expected = [&](const char* key) {
    return read_image(folder / entry.at(key).get<std::string>());
  };
  const Image cropped =
      fit(source, fmt::format(R"("size": {{"shortest_edge": {0}}}, "crop_size": {0})", size));
  const Image direct = fit(source, fmt::format(R"("size": {{"height": {0}, "width": {0}}})", size));
  const Difference of_cropped = compare(cropped, expected("shortest_edge_then_center_crop"));
  const Difference of_direct = compare(direct, expected("direct_resize"));
  fmt::print(
      "{} {}: crop: {} pixels differ, largest difference {}; direct: {} pixels differ, largest "
      "difference {}\n",
      entry.at("source").get<std::string>(), size, of_cropped.pixels, of_cropped.largest, of_direct.pixels,
      of_direct.largest);
  return of_cropped.pixels == 0 && of_direct.pixels == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: mmbatch_resize DIR    (with DIR/cases.json)\n");
    return 2;
  }
  try {
    const fs::path folder = argv[1];
    const std::vector<char> text = read_file(folder / "cases.json");
    const auto cases = nlohmann::json::parse(text.begin(), text.end());
    bool all_equal = true;
    for (const auto& entry : cases) all_equal = check_case(folder, entry) && all_equal;
    return all_equal ? 0 : 1;
  } catch (const std::exception& e) {
    fmt::print(stderr, "mmbatch_resize: {}\n", e.what());
    return 2;
  }
}
