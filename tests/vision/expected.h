#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "vision/image/image_decode.h"

namespace mmbatch {

inline std::filesystem::path test_data() {
  return MMBATCH_TEST_DATA;
}

inline std::vector<std::byte> read_bytes(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw std::runtime_error(file.string() + ": cannot be read");
  const std::vector<char> text{std::istreambuf_iterator<char>(stream), {}};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

inline Image read_image(const std::filesystem::path& file) {
  return decode_image(read_bytes(file));
}

/// The bytes of a picture in tests/data/images.
inline std::vector<std::byte> image_fixture(const std::string& name) {
  return read_bytes(test_data() / "images" / name);
}

/// What decoding fails with; "no error" where it does not.
inline ItemError decoding_error(const std::vector<std::byte>& bytes, const ImageLimits& limits = {}) {
  try {
    decode_image(bytes, limits);
  } catch (const ItemError& e) {
    return e;
  }
  return {ErrorCode::internal, "no error"};
}

inline nlohmann::json read_json(const std::filesystem::path& file) {
  std::ifstream stream(file);
  return nlohmann::json::parse(stream);
}

/// Tensors of a float32 safetensors file: eight bytes of header length, a JSON header, the data.
class ExpectedTensors {
 public:
  explicit ExpectedTensors(const std::filesystem::path& file) : bytes_(read_bytes(file)) {
    std::uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), sizeof(length));
    const auto* text = reinterpret_cast<const char*>(bytes_.data()) + sizeof(length);
    header_ = nlohmann::json::parse(text, text + length);
    data_ = sizeof(length) + length;
  }

  bool has(const std::string& name) const { return header_.contains(name); }
  std::vector<std::size_t> shape(const std::string& name) const {
    return header_.at(name).at("shape").get<std::vector<std::size_t>>();
  }
  std::vector<float> values(const std::string& name) const {
    const auto offsets = header_.at(name).at("data_offsets").get<std::vector<std::size_t>>();
    std::vector<float> out((offsets[1] - offsets[0]) / sizeof(float));
    std::memcpy(out.data(), bytes_.data() + data_ + offsets[0], offsets[1] - offsets[0]);
    return out;
  }

 private:
  std::vector<std::byte> bytes_;
  nlohmann::json header_;
  std::size_t data_ = 0;
};

}  // namespace mmbatch
