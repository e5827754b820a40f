// mmbatch_dequantize FILE_OR_DIR: what tensors of a GGUF file, or of a checkpoint folder, are as float32.
//
// JSON lines in, {"tensor": "NAME"}; JSON lines out, {"shape": [...], "sha256": "...", "first": [8 numbers]}
// of the tensor's little-endian float32 bytes, or {"error": "..."}. Exit code 0 unless the model cannot be
// opened.

#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "engine/weights/gguf/gguf_file.h"
#include "engine/weights/weight_source.h"

namespace {

using namespace mmbatch;

/// The tensors of whatever was given; of a GGUF file as it names them.
class Tensors {
 public:
  explicit Tensors(const std::filesystem::path& path) {
    if (GgufFile::is_gguf(path)) {
      files_ = open_gguf(path);
      for (const GgufFile& file : files_) tensors_.insert(file.tensors().begin(), file.tensors().end());
      for (const GgufFile& file : files_)
        others_.insert(file.other_tensors().begin(), file.other_tensors().end());
    } else {
      source_ = open_weights(path);
      tensors_ = source_->tensors();
      others_ = source_->other_tensors();
    }
  }

  const TensorView& find(const std::string& name) const {
    for (const std::string& tried : {name, name + ".weight"}) {  // a module's name means its weight
      if (const auto found = tensors_.find(tried); found != tensors_.end()) return found->second;
    }
    if (const auto other = others_.find(name); other != others_.end())
      throw ModelError(fmt::format("tensor '{}' is of type {}", name, other->second));
    throw ModelError(fmt::format("no tensor '{}'", name));
  }

 private:
  std::vector<GgufFile> files_;
  std::shared_ptr<const WeightSource> source_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> others_;
};

nlohmann::json describe(const TensorView& tensor) {
  constexpr std::size_t kElements = 1u << 16, kFirst = 8;
  Sha256 hash;
  std::vector<float> values(std::min(kElements, tensor.elements()));
  auto first = nlohmann::json::array();
  for (std::size_t begin = 0; begin < tensor.elements(); begin += kElements) {
    const std::size_t count = std::min(kElements, tensor.elements() - begin);
    copy_as_float(tensor, begin, count, values.data());
    hash.update(values.data(), count * sizeof(float));
    for (std::size_t i = 0; i < count && first.size() < kFirst; ++i)
      first.push_back(static_cast<double>(values[i]));
  }
  return {{"shape", tensor.shape}, {"sha256", hash.hex()}, {"first", first}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: mmbatch_dequantize FILE_OR_DIR\n");
    return 2;
  }
  try {
    const Tensors tensors(argv[1]);
    for (std::string line; std::getline(std::cin, line);) {
      nlohmann::json answer;
      try {
        answer = describe(tensors.find(nlohmann::json::parse(line).at("tensor").get<std::string>()));
      } catch (const std::exception& e) {
        answer = {{"error", e.what()}};
      }
      std::cout << answer.dump() << "\n";
    }
  } catch (const std::exception& e) {
    fmt::print(stderr, "mmbatch_dequantize: {}\n", e.what());
    return 2;
  }
  return 0;
}
