#include "engine/weights/gguf/byte_cursor.h"

#include <fmt/format.h>

#include "engine/base/error.h"

namespace mmbatch::gguf {

const std::byte* ByteCursor::take(std::uint64_t count) {
  if (count > left()) {
    throw ModelError(fmt::format(
        "{}: truncated or damaged: {} bytes are announced at byte {}, {} are left. Download or copy it again",
        source_, count, at_, left()));
  }
  const std::byte* from = bytes_.data() + at_;
  at_ += static_cast<std::size_t>(count);
  return from;
}

std::string_view ByteCursor::text() {
  const auto length = number<std::uint64_t>();
  const auto* from = reinterpret_cast<const char*>(take(length));
  return {from, static_cast<std::size_t>(length)};
}

}  // namespace mmbatch::gguf
