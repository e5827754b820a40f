#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/engine/temporary_folder.h"

namespace mmbatch::testing {

/// The bytes of a safetensors file with this header and so much data.
inline std::string safetensors_bytes(const std::string& header, const std::string& data) {
  std::uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + header + data;
}

/// Collects float32 tensors for one file.
class TensorFile {
 public:
  void add(const std::string& name, const std::vector<std::size_t>& shape, const std::vector<float>& values) {
    std::string dimensions;
    for (const std::size_t d : shape) dimensions += (dimensions.empty() ? "" : ",") + std::to_string(d);
    const std::size_t begin = data_.size();
    data_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    header_ += std::string(header_.empty() ? "" : ",") + "\"" + name + R"(":{"dtype":"F32","shape":[)" +
               dimensions + R"(],"data_offsets":[)" + std::to_string(begin) + "," +
               std::to_string(data_.size()) + "]}";
  }
  /// Normally distributed values of this mean and deviation.
  void add_random(const std::string& name, const std::vector<std::size_t>& shape, float mean,
                  float deviation) {
    std::size_t count = 1;
    for (const std::size_t d : shape) count *= d;
    std::normal_distribution<float> normal(mean, deviation);
    std::vector<float> values(count);
    for (float& value : values) value = normal(random_);
    add(name, shape, values);
  }
  void write(const std::filesystem::path& file) const {
    write_file(file, safetensors_bytes("{" + header_ + "}", data_));
  }

 private:
  std::string header_;
  std::string data_;
  std::mt19937 random_{11};
};

}  // namespace mmbatch::testing
