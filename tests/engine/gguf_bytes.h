#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mmbatch::testing {

/// Bytes of a GGUF file, put together by hand.
class GgufBytes {
 public:
  template <class T>
  static std::string number(T value) {
    return {reinterpret_cast<const char*>(&value), sizeof(value)};
  }
  static std::string text(const std::string& value) { return number<std::uint64_t>(value.size()) + value; }

  /// @param type of the value, as GGUF numbers it
  GgufBytes& key(const std::string& name, std::uint32_t type, const std::string& value) {
    keys_ += text(name) + number(type) + value;
    ++key_count_;
    return *this;
  }
  GgufBytes& key(const std::string& name, const std::string& value) { return key(name, 8, text(value)); }
  GgufBytes& key(const std::string& name, std::uint32_t value) { return key(name, 4, number(value)); }
  GgufBytes& floats(const std::string& name, const std::vector<float>& values) {
    std::string bytes = number<std::uint32_t>(6) + number<std::uint64_t>(values.size());
    for (const float value : values) bytes += number(value);
    return key(name, 9, bytes);
  }
  GgufBytes& texts(const std::string& name, const std::vector<std::string>& values) {
    std::string bytes = number<std::uint32_t>(8) + number<std::uint64_t>(values.size());
    for (const std::string& value : values) bytes += text(value);
    return key(name, 9, bytes);
  }

  /// @param sizes the row's length first
  GgufBytes& tensor(const std::string& name, const std::vector<std::uint64_t>& sizes, std::uint32_t type,
                    const std::string& bytes) {
    return describe(name, sizes, type, data_.size()).data(bytes);
  }
  /// In float32.  @param shape outermost first, as other formats write it
  void put(const std::string& name, const std::vector<std::size_t>& shape, const std::vector<float>& values) {
    tensor(name, {shape.rbegin(), shape.rend()}, 0,
           {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  }
  GgufBytes& describe(const std::string& name, const std::vector<std::uint64_t>& sizes, std::uint32_t type,
                      std::uint64_t offset) {
    tensors_ += text(name) + number(static_cast<std::uint32_t>(sizes.size()));
    for (const std::uint64_t size : sizes) tensors_ += number(size);
    tensors_ += number(type) + number(offset);
    ++tensor_count_;
    return *this;
  }
  GgufBytes& data(const std::string& bytes) {
    data_ += bytes;
    data_.resize((data_.size() + 31) / 32 * 32);
    return *this;
  }

  std::string bytes(std::uint32_t version = 3) const {
    std::string all =
        "GGUF" + number(version) + number(tensor_count_) + number(key_count_) + keys_ + tensors_;
    all.resize((all.size() + 31) / 32 * 32);
    return all + data_;
  }

 private:
  std::string keys_, tensors_, data_;
  std::uint64_t key_count_ = 0, tensor_count_ = 0;
};

}  // namespace mmbatch::testing
