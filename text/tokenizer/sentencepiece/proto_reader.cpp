#include "text/tokenizer/sentencepiece/proto_reader.h"

#include <fmt/format.h>

#include <cstring>

#include "engine/base/error.h"

namespace mmbatch {

ProtoReader::ProtoReader(std::string_view message, std::string source)
    : rest_(message), source_(std::move(source)) {}

void ProtoReader::fail(const std::string& problem) const {
  throw ModelError(fmt::format("{}: no valid sentencepiece model: {}", source_, problem));
}

std::uint64_t ProtoReader::read_varint() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) fail("the file ends inside a number");
    const auto byte = static_cast<std::uint8_t>(rest_[0]);
    rest_.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) return value;
  }
  fail("a number of more than 64 bits");
}

std::string_view ProtoReader::read_bytes(std::uint64_t count) {
  if (count > rest_.size()) fail("the file ends inside a field");
  const std::string_view bytes = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return bytes;
}

bool ProtoReader::next() {
  if (rest_.empty()) return false;
  const std::uint64_t key = read_varint();
  if (key >> 3 == 0 || key >> 3 > 0x1FFFFFFF) fail("a field number out of range");
  field_ = static_cast<int>(key >> 3);
  switch (key & 7) {
    case 0:
      wire_ = Wire::varint;
      integer_ = read_varint();
      break;
    case 1:
      wire_ = Wire::fixed64;
      bytes_ = read_bytes(8);
      break;
    case 2:
      wire_ = Wire::bytes;
      bytes_ = read_bytes(read_varint());
      break;
    case 5:
      wire_ = Wire::fixed32;
      bytes_ = read_bytes(4);
      break;
    default:
      fail("a field of unknown type");
  }
  return true;
}

void ProtoReader::expect(Wire wire) const {
  if (wire_ != wire) fail(fmt::format("field {} has the wrong type", field_));
}

std::uint64_t ProtoReader::integer() const {
  expect(Wire::varint);
  return integer_;
}

std::string_view ProtoReader::bytes() const {
  expect(Wire::bytes);
  return bytes_;
}

float ProtoReader::number() const {
  expect(Wire::fixed32);
  float value = 0;
  std::memcpy(&value, bytes_.data(), sizeof(value));
  return value;
}

}  // namespace mmbatch
