#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/weights/gguf/byte_cursor.h"

namespace mmbatch::gguf {

/// Types of a key's value, as the file numbers them.
enum class ValueType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, array, u64, i64, f64 };

/// A key's value where it lies in the mapped file; of an array, its elements. Nothing of it is beyond the
/// end.
struct Value {
  ValueType type;  // of an array, of its elements
  bool array = false;
  std::uint64_t count = 1;
  const std::byte* data = nullptr;
  std::size_t bytes = 0;
};

/// The keys of a GGUF file. Integers come in any width, lists where others have one number; both are read as
/// what is asked for. Errors name file and key. Refers to the mapped file.
class Metadata {
 public:
  static constexpr int kMaxDepth = 4;
  static constexpr std::size_t kMaxKeyBytes = 65535;

  Metadata() = default;
  /// @param count keys that follow  @throws ModelError for what is not GGUF
  Metadata(ByteCursor& cursor, std::uint64_t count);

  bool has(const std::string& key) const { return values_.count(key) > 0; }
  bool is_list(const std::string& key) const;
  /// @throws ModelError for another type, or a number outside [0, max]
  std::uint64_t size(const std::string& key, std::uint64_t otherwise,
                     std::uint64_t max = std::uint64_t{1} << 40) const;
  double number(const std::string& key, double otherwise) const;
  bool flag(const std::string& key, bool otherwise) const;
  std::string text(const std::string& key, const std::string& otherwise) const;
  /// A list, or one number as a list of one; empty when absent.
  std::vector<std::int64_t> integers(const std::string& key) const;
  std::vector<double> numbers(const std::string& key) const;
  /// Texts where they lie in the file; empty when absent.
  std::vector<std::string_view> texts(const std::string& key) const;
  /// In alphabetical order.
  std::vector<std::string> keys() const;
  /// Whether both have the key, with other bytes or of another type.
  bool contradicts(const Metadata& other, const std::string& key) const;

  /// @throws ModelError "FILE: key 'KEY': PROBLEM"
  [[noreturn]] void fail(const std::string& key, const std::string& problem) const;
  const std::string& source() const { return source_; }

 private:
  const Value* find(const std::string& key) const;
  const Value* find_single(const std::string& key) const;

  std::string source_;
  std::map<std::string, Value> values_;
};

}  // namespace mmbatch::gguf
