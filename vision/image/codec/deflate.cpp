#include "vision/image/codec/deflate.h"

#include <zlib.h>

#include <array>
#include <memory>
#include <new>

namespace mmbatch::codec {

bool deflate_is_sound(std::span<const std::byte> stream, std::size_t wanted) {
  z_stream state{};
  if (inflateInit(&state) != Z_OK) throw std::bad_alloc();
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> end(&state, inflateEnd);
  state.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(stream.data()));
  state.avail_in = static_cast<uInt>(stream.size());
  std::array<Bytef, 1 << 15> thrown_away;
  while (state.total_out <= wanted) {
    state.next_out = thrown_away.data();
    state.avail_out = thrown_away.size();
    const int status = inflate(&state, Z_NO_FLUSH);
    if (status == Z_STREAM_END) return true;
    if (status != Z_OK) return false;
  }
  return true;
}

}  // namespace mmbatch::codec
