#include "engine/weights/gguf/gguf_metadata.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "engine/base/error.h"

namespace mmbatch::gguf {
namespace {

/// Bytes of a type whose values are all of one size; 0 for texts and arrays.
std::size_t fixed_bytes(ValueType type) {
  constexpr std::size_t kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return kBytes[static_cast<std::size_t>(type)];
}

ValueType read_type(ByteCursor& cursor, const std::string& key) {
  const auto number = cursor.number<std::uint32_t>();
  if (number > static_cast<std::uint32_t>(ValueType::f64)) {
    throw ModelError(
        fmt::format("{}: key '{}': values of type {} are not known (0 to 12 are): damaged, or "
                    "of a later version of GGUF",
                    cursor.source(), key, number));
  }
  return static_cast<ValueType>(number);
}

void skip_elements(ByteCursor& cursor, const std::string& key, ValueType type, std::uint64_t count,
                   int depth) {
  if (depth > Metadata::kMaxDepth) {
    throw ModelError(fmt::format("{}: key '{}': lists are nested more than {} deep", cursor.source(), key,
                                 Metadata::kMaxDepth));
  }
  if (const std::size_t bytes = fixed_bytes(type); bytes > 0) {
    std::uint64_t all = 0;
    if (__builtin_mul_overflow(count, bytes, &all)) all = UINT64_MAX;
    cursor.take(all);
    return;
  }
  for (std::uint64_t i = 0; i < count;
       ++i) {  // each takes eight bytes or more, so the file's end is the bound
    if (type == ValueType::text) {
      cursor.text();
      continue;
    }
    const ValueType inner = read_type(cursor, key);
    skip_elements(cursor, key, inner, cursor.number<std::uint64_t>(), depth + 1);
  }
}

Value read_value(ByteCursor& cursor, const std::string& key) {
  Value value{.type = read_type(cursor, key)};
  if (value.type == ValueType::array) {
    value.array = true;
    value.type = read_type(cursor, key);
    value.count = cursor.number<std::uint64_t>();
  }
  const std::size_t begin = cursor.position();
  value.data = cursor.take(0);
  skip_elements(cursor, key, value.type, value.count, 1);
  value.bytes = cursor.position() - begin;
  return value;
}

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

/// Number `index` of a value; none when it is not an integer, or one that no int64 holds.
std::optional<std::int64_t> integer_at(const Value& value, std::size_t index) {
  const std::byte* from = value.data + index * fixed_bytes(value.type);
  switch (value.type) {
    case ValueType::u8:
      return load<std::uint8_t>(from);
    case ValueType::i8:
      return load<std::int8_t>(from);
    case ValueType::u16:
      return load<std::uint16_t>(from);
    case ValueType::i16:
      return load<std::int16_t>(from);
    case ValueType::u32:
      return load<std::uint32_t>(from);
    case ValueType::i32:
      return load<std::int32_t>(from);
    case ValueType::boolean:
      return load<std::uint8_t>(from) != 0 ? 1 : 0;
    case ValueType::u64: {
      const auto number = load<std::uint64_t>(from);
      if (number > INT64_MAX) return {};
      return static_cast<std::int64_t>(number);
    }
    case ValueType::i64:
      return load<std::int64_t>(from);
    default:
      return {};
  }
}

std::optional<double> number_at(const Value& value, std::size_t index) {
  const std::byte* from = value.data + index * fixed_bytes(value.type);
  if (value.type == ValueType::f32) return static_cast<double>(load<float>(from));
  if (value.type == ValueType::f64) return load<double>(from);
  if (const auto integer = integer_at(value, index)) return static_cast<double>(*integer);
  return {};
}

}  // namespace

Metadata::Metadata(ByteCursor& cursor, std::uint64_t count) : source_(cursor.source()) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string key(cursor.text());
    if (key.size() > kMaxKeyBytes) {
      throw ModelError(
          fmt::format("{}: a key of {} bytes (at most {}): damaged", source_, key.size(), kMaxKeyBytes));
    }
    if (!values_.emplace(key, read_value(cursor, key)).second) fail(key, "is there twice");
  }
}

void Metadata::fail(const std::string& key, const std::string& problem) const {
  throw ModelError(fmt::format("{}: key '{}': {}", source_, key.substr(0, 200), problem));
}

const Value* Metadata::find(const std::string& key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

const Value* Metadata::find_single(const std::string& key) const {
  const Value* value = find(key);
  if (value != nullptr && value->array) fail(key, "is a list, one value is expected");
  return value;
}

bool Metadata::is_list(const std::string& key) const {
  const Value* value = find(key);
  return value != nullptr && value->array;
}

std::uint64_t Metadata::size(const std::string& key, std::uint64_t otherwise, std::uint64_t max) const {
  const Value* value = find_single(key);
  if (value == nullptr) return otherwise;
  const auto number = integer_at(*value, 0);
  if (!number) fail(key, "is not an integer");
  if (*number < 0 || static_cast<std::uint64_t>(*number) > max)
    fail(key, fmt::format("{} is out of range [0, {}]", *number, max));
  return static_cast<std::uint64_t>(*number);
}

double Metadata::number(const std::string& key, double otherwise) const {
  const Value* value = find_single(key);
  if (value == nullptr) return otherwise;
  const auto number = number_at(*value, 0);
  if (!number) fail(key, "is not a number");
  if (!std::isfinite(*number)) fail(key, "is not a finite number");
  return *number;
}

bool Metadata::flag(const std::string& key, bool otherwise) const {
  const Value* value = find_single(key);
  if (value == nullptr) return otherwise;
  const auto number = integer_at(*value, 0);
  if (!number) fail(key, "is not true or false");
  return *number != 0;
}

std::string Metadata::text(const std::string& key, const std::string& otherwise) const {
  const Value* value = find_single(key);
  if (value == nullptr) return otherwise;
  if (value->type != ValueType::text) fail(key, "is not a text");
  return {reinterpret_cast<const char*>(value->data) + 8, value->bytes - 8};
}

std::vector<std::int64_t> Metadata::integers(const std::string& key) const {
  std::vector<std::int64_t> numbers;
  const Value* value = find(key);
  if (value == nullptr) return numbers;
  for (std::size_t i = 0; i < value->count; ++i) {
    const auto number = integer_at(*value, i);
    if (!number) fail(key, "has an element that is not an integer");
    numbers.push_back(*number);
  }
  return numbers;
}

std::vector<double> Metadata::numbers(const std::string& key) const {
  std::vector<double> numbers;
  const Value* value = find(key);
  if (value == nullptr) return numbers;
  for (std::size_t i = 0; i < value->count; ++i) {
    const auto number = number_at(*value, i);
    if (!number || !std::isfinite(*number)) fail(key, "has an element that is not a finite number");
    numbers.push_back(*number);
  }
  return numbers;
}

std::vector<std::string_view> Metadata::texts(const std::string& key) const {
  std::vector<std::string_view> texts;
  const Value* value = find(key);
  if (value == nullptr) return texts;
  if (value->type != ValueType::text) fail(key, "is not a list of texts");
  ByteCursor cursor({value->data, value->bytes}, source_);
  for (std::size_t i = 0; i < value->count; ++i) texts.push_back(cursor.text());
  return texts;
}

std::vector<std::string> Metadata::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : values_) keys.push_back(key);
  return keys;
}

bool Metadata::contradicts(const Metadata& other, const std::string& key) const {
  const Value *own = find(key), *others = other.find(key);
  if (own == nullptr || others == nullptr) return false;
  return own->type != others->type || own->array != others->array || own->bytes != others->bytes ||
         std::memcmp(own->data, others->data, own->bytes) != 0;
}

}  // namespace mmbatch::gguf
