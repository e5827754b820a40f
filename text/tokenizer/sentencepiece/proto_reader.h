#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mmbatch {

/// Walks the fields of one protobuf message in bytes from outside; sub-messages are walked by another reader
/// over bytes(). Format: https://protobuf.dev/programming-guides/encoding/
class ProtoReader {
 public:
  /// @param source what errors name, such as the file's path.
  ProtoReader(std::string_view message, std::string source);

  /// Continues with the next field; false at the end.  @throws ModelError when the bytes are not a protobuf
  /// message.
  bool next();

  int field() const { return field_; }
  /// The value of the current field.  @throws ModelError when it is of another wire type.
  std::uint64_t integer() const;
  std::string_view bytes() const;
  float number() const;

 private:
  enum class Wire { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

  std::uint64_t read_varint();
  std::string_view read_bytes(std::uint64_t count);
  void expect(Wire wire) const;
  [[noreturn]] void fail(const std::string& problem) const;

  std::string_view rest_;
  std::string source_;
  int field_ = 0;
  Wire wire_ = Wire::varint;
  std::uint64_t integer_ = 0;
  std::string_view bytes_;
};

}  // namespace mmbatch
