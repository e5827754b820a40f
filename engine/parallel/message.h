#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace mmbatch {

/// What rank 0 asks the other processes to do.
enum class MessageKind : char { end, load, step, work };

/// Puts plain data behind each other. Both ends are the same program.
class MessageWriter {
 public:
  explicit MessageWriter(MessageKind kind) { put(kind); }

  template <class T>
  void put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof value);
  }
  template <class T>
  void put(const std::vector<T>& values) {
    static_assert(std::is_trivially_copyable_v<T>);
    put(values.size());
    const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
    bytes_.insert(bytes_.end(), bytes, bytes + values.size() * sizeof(T));
  }
  /// Many values, without their number.
  template <class T>
  void put_all(const T* values, std::size_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto* bytes = reinterpret_cast<const std::byte*>(values);
    bytes_.insert(bytes_.end(), bytes, bytes + count * sizeof(T));
  }
  void put(const std::string& text) { put(std::vector<char>(text.begin(), text.end())); }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

/// Takes them out in the same order.  @throws std::length_error for a message that ends too early
class MessageReader {
 public:
  explicit MessageReader(std::span<const std::byte> bytes) : bytes_(bytes), kind_(take<MessageKind>()) {}

  MessageKind kind() const { return kind_; }
  template <class T>
  T take() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    std::memcpy(&value, advance(sizeof value), sizeof value);
    return value;
  }
  template <class T>
  std::vector<T> take_all() {
    const auto count = take<std::size_t>();
    if (count > bytes_.size() / sizeof(T))
      throw std::length_error("a message of another process ends too early");
    std::vector<T> values(count);
    if (count > 0) std::memcpy(values.data(), advance(count * sizeof(T)), count * sizeof(T));
    return values;
  }
  /// What put_all() put.
  template <class T>
  void take_all(T* values, std::size_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (count > bytes_.size() / sizeof(T))
      throw std::length_error("a message of another process ends too early");
    if (count > 0) std::memcpy(values, advance(count * sizeof(T)), count * sizeof(T));
  }
  std::string take_text() {
    const std::vector<char> text = take_all<char>();
    return {text.begin(), text.end()};
  }

 private:
  const std::byte* advance(std::size_t count) {
    if (count > bytes_.size()) throw std::length_error("a message of another process ends too early");
    const std::byte* const begin = bytes_.data();
    bytes_ = bytes_.subspan(count);
    return begin;
  }

  std::span<const std::byte> bytes_;
  MessageKind kind_;
};

}  // namespace mmbatch
