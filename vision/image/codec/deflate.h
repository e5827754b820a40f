#pragma once

#include <cstddef>
#include <span>

namespace mmbatch::codec {

/// Whether a zlib stream unpacks to its end, checksum included, or to more than `wanted` bytes, after which nobody
/// needs to know. Libraries that stop reading when they have what they want never see the checksum.
bool deflate_is_sound(std::span<const std::byte> stream, std::size_t wanted);

}  // namespace mmbatch::codec
