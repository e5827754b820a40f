// Published quantized weights whose files were changed: a message, or weights that can be read, packed and
// multiplied; never anything else.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/base/error.h"
#include "engine/kernels/matmul.h"
#include "engine/weights/weight_source.h"
#include "tests/engine/mutants.h"
#include "tests/engine/temporary_folder.h"

namespace mmbatch {
namespace {

using nlohmann::json;
using testing::read_file;
using testing::TemporaryFolder;

const std::filesystem::path kFolders = std::filesystem::path(MMBATCH_TEST_DATA) / "quantized";

/// What a folder's two files hold.
struct Files {
  std::string config, weights;
};

std::vector<json*> places_of(json& all) {
  std::vector<json*> places;
  for (json& value : all) {
    places.push_back(&value);
    if (!value.is_structured()) continue;
    const std::vector<json*> below = places_of(value);
    places.insert(places.end(), below.begin(), below.end());
  }
  return places;
}

json strange(std::mt19937& random) {
  static const json kValues = json::parse(
      R"([null, true, false, 0, 1, -1, 2, 3, 4, 7, 8, 16, 32, 64, 129, 2147483648, 4294967297, 1099511627776,
          9223372036854775807, -9223372036854775808, 1e300, 0.5, "", "x", "gptq", "awq", "fp8", "nf4", "I8",
          "I32", "U8", "F16", "F8_E4M3", "float", "int", "group", "channel", "tensor", "block", [], [0], [1],
          [[]], [128, 0], [0, 128], [1, 1], [3, 5], [-1, 4], {}])");
  return kValues[random() % kValues.size()];
}

void change(json& all, std::mt19937& random) {
  const std::vector<json*> places = places_of(all);
  if (places.empty()) return;
  for (std::size_t edits = 1 + random() % 2; edits > 0; --edits) {
    json& value = *places[random() % places.size()];
    if (value.is_number_integer() && random() % 2 == 0) {
      const auto number = static_cast<std::uint64_t>(value.get<std::int64_t>());
      const std::uint64_t others[] = {number + 1, number - 1,  number * 2,
                                      number / 2, number + 16, 0 - number};
      value = static_cast<std::int64_t>(others[random() % std::size(others)]);
    } else {
      // Places within it are gone.
      value = strange(random);
      return;
    }
  }
}

/// In the header, as its numbers and names, or in any byte.
std::string change_weights(std::string bytes, std::mt19937& random) {
  constexpr std::size_t kBegin = sizeof(std::uint64_t);  // of the header, behind its size
  std::uint64_t size = 0;
  std::memcpy(&size, bytes.data(), kBegin);
  if (random() % 2 == 0) {
    json header = json::parse(bytes.substr(kBegin, size));
    change(header, random);
    const std::string text = header.dump(), data = bytes.substr(kBegin + size);
    size = text.size();
    return std::string(reinterpret_cast<const char*>(&size), kBegin) + text + data;
  }
  for (std::size_t edits = 1 + random() % 4; edits > 0 && !bytes.empty(); --edits) {
    const std::size_t at =
        random() % (random() % 2 == 0 ? bytes.size() : std::min<std::size_t>(bytes.size(), kBegin + size));
    if (random() % 16 == 0)
      bytes.resize(at);
    else
      bytes[at] = static_cast<char>(random() % 3 == 0 ? "\xff\x7f\x80"[random() % 3] : random());
  }
  return bytes;
}

Files changed(Files files, std::mt19937& random) {
  if (random() % 3 == 0) {
    json config = json::parse(files.config);
    change(config, random);
    files.config = config.dump();
  } else {
    files.weights = change_weights(files.weights, random);
  }
  return files;
}

/// Both ends of a tensor, and its product with a row of ones.
void compute_with(const TensorView& tensor) {
  float values[300];
  const std::size_t count = std::min<std::size_t>(tensor.elements(), std::size(values));
  copy_as_float(tensor, 0, count, values);
  copy_as_float(tensor, tensor.elements() - count, count, values);
  if (tensor.shape.size() != 2 || tensor.elements() == 0) return;
  const PackedMatrix matrix = PackedMatrix::pack(tensor, Precision::stored);
  Matrix<float> x(1, matrix.in()), y(1, matrix.out());
  std::fill_n(x.data(), x.cols(), 1.0f);
  matrix.multiply(x.view(), y.view());
}

TEST(StoredMutants, AreRefusedOrComputedWith) {
  std::vector<Files> sound;
  for (const auto& entry : std::filesystem::directory_iterator(kFolders))
    sound.push_back({read_file(entry.path() / "config.json"), read_file(entry.path() / "model.safetensors")});
  ASSERT_GE(sound.size(), 12u);
  std::mt19937 random(3);
  const TemporaryFolder folder;
  std::size_t taken = 0, refused = 0;
  for (std::size_t i = 0; i < testing::mutants(240); ++i) {
    const Files files = changed(sound[i % sound.size()], random);
    folder.write("config.json", files.config);
    folder.write("model.safetensors", files.weights);
    try {
      const auto weights = open_weights(folder.path());
      for (const auto& [name, tensor] : weights->tensors()) {
        ASSERT_LE(tensor.elements(), 32 * files.weights.size()) << name << " of mutant " << i;
        compute_with(tensor);
      }
      ++taken;
    } catch (const ModelError& e) {
      EXPECT_STRNE(e.what(), "");
      ++refused;
    }
  }
  EXPECT_GT(taken, 0u);
  EXPECT_GT(refused, 0u);
}

}  // namespace
}  // namespace mmbatch
