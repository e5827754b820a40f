#include "engine/weights/gguf/gguf_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "engine/base/error.h"
#include "engine/weights/gguf/block_form.h"

namespace mmbatch {

using gguf::BlockType;
using gguf::ByteCursor;

namespace {

constexpr char kMagic[4] = {'G', 'G', 'U', 'F'};
constexpr std::uint32_t kMaxDimensions = 4;
constexpr std::uint64_t kMaxAlignment = 1u << 20;

std::size_t product(const std::vector<std::size_t>& shape, std::size_t factor) {
  for (const std::size_t size : shape) {
    if (__builtin_mul_overflow(factor, size, &factor)) return SIZE_MAX;
  }
  return factor;
}

std::uint64_t read_alignment(const gguf::Metadata& metadata) {
  const std::string key = "general.alignment";
  const std::uint64_t alignment = metadata.size(key, 32);
  if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > kMaxAlignment)
    metadata.fail(key, fmt::format("{} is not a power of two up to {}", alignment, kMaxAlignment));
  return alignment;
}

}  // namespace

/// A tensor as it is described, before its place is known to be in the file.
struct GgufFile::Extent {
  std::string name;
  std::vector<std::size_t> shape;
  std::uint32_t type_number = 0;
  const BlockType* type = nullptr;  // null: not known, nor how long it is
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

bool GgufFile::is_gguf(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  char magic[sizeof(kMagic)] = {};
  return stream.read(magic, sizeof(magic)) && std::memcmp(magic, kMagic, sizeof(magic)) == 0;
}

GgufFile::GgufFile(const std::filesystem::path& path) : file_(path) {
  ByteCursor cursor(file_.bytes(), path.string());
  if (cursor.left() < sizeof(kMagic) || std::memcmp(cursor.take(sizeof(kMagic)), kMagic, sizeof(kMagic)) != 0)
    throw ModelError(fmt::format("{}: not a GGUF file: it does not begin with GGUF", path.string()));
  const auto version = cursor.number<std::uint32_t>();
  if (version != 2 && version != 3) {
    const bool swapped = __builtin_bswap32(version) <= 3;
    throw ModelError(fmt::format("{}: GGUF version {} is not supported; supported are 2 and 3{}",
                                 path.string(), version,
                                 swapped ? ". The file is big-endian: convert it first" : ""));
  }
  const auto tensors = cursor.number<std::uint64_t>(), keys = cursor.number<std::uint64_t>();
  if (tensors > kMaxTensors)
    throw ModelError(fmt::format("{}: {} tensors announced, at most {} are possible", path.string(), tensors,
                                 kMaxTensors));
  metadata_ = gguf::Metadata(cursor, keys);
  keys_end_ = cursor.position();
  std::vector<Extent> extents;
  for (std::uint64_t i = 0; i < tensors; ++i) extents.push_back(read_tensor(cursor));
  header_bytes_ = cursor.position();
  const std::uint64_t alignment = read_alignment(metadata_);
  for (const Extent& extent : extents) {
    if (extent.offset % alignment == 0) continue;
    throw ModelError(fmt::format("{}: tensor '{}': offset {} is not a multiple of the alignment {}",
                                 path.string(), extent.name, extent.offset, alignment));
  }
  place_tensors(std::move(extents), (cursor.position() + alignment - 1) / alignment * alignment);
}

std::string GgufFile::keys_alone() const {
  const auto* bytes = reinterpret_cast<const char*>(file_.bytes().data());
  std::string out(bytes, keys_end_);
  // Behind magic and version is the number of tensors.
  std::fill_n(out.begin() + 8, sizeof(std::uint64_t), '\0');
  return out;
}

GgufFile::Extent GgufFile::read_tensor(ByteCursor& cursor) {
  Extent extent;
  extent.name = cursor.text();
  const auto fail = [&](const std::string& problem) {
    throw ModelError(
        fmt::format("{}: tensor '{}': {}", cursor.source(), extent.name.substr(0, 200), problem));
  };
  const auto dimensions = cursor.number<std::uint32_t>();
  if (dimensions == 0 || dimensions > kMaxDimensions)
    fail(fmt::format("{} dimensions, 1 to {} are possible", dimensions, kMaxDimensions));
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    extent.shape.insert(extent.shape.begin(), static_cast<std::size_t>(cursor.number<std::uint64_t>()));
    if (extent.shape.front() == 0 || extent.shape.front() > std::size_t{1} << 40)
      fail(fmt::format("a size of {} is not possible", extent.shape.front()));
  }
  extent.type_number = cursor.number<std::uint32_t>();
  extent.offset = cursor.number<std::uint64_t>();
  extent.type = gguf::find_block_type(extent.type_number);
  if (extent.type == nullptr) return extent;
  const std::size_t row = extent.shape.back();
  if (row % extent.type->elements != 0) {
    fail(fmt::format("rows of {} elements are not whole blocks of {}, which has {} in each", row,
                     extent.type->name, extent.type->elements));
  }
  std::vector<std::size_t> blocks = extent.shape;
  blocks.back() = row / extent.type->elements;
  extent.bytes = product(blocks, extent.type->bytes);
  if (product(extent.shape, sizeof(float)) == SIZE_MAX) fail(shape_text(extent.shape) + " is too large");
  return extent;
}

void GgufFile::place_tensors(std::vector<Extent> extents, std::size_t data_begin) {
  const std::size_t end = bytes(), data_bytes = end - std::min(end, data_begin);
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.offset < b.offset; });
  std::uint64_t used = 0;
  for (const Extent& extent : extents) {
    if (extent.offset > data_bytes || extent.bytes > data_bytes - extent.offset) {
      throw ModelError(fmt::format(
          "{}: tensor '{}' ends behind the end of the file: {} bytes at {} of {} bytes of data. The file is "
          "truncated: download or copy it again",
          path().string(), extent.name, extent.bytes, extent.offset, data_bytes));
    }
    if (extent.offset < used) {
      throw ModelError(fmt::format("{}: tensor '{}' begins at {}, where another one is, up to {}",
                                   path().string(), extent.name, extent.offset, used));
    }
    used = extent.offset + extent.bytes;
    bool added = false;
    if (extent.type != nullptr && extent.type->read != nullptr) {
      const std::byte* data = file_.bytes().data() + data_begin + extent.offset;
      added =
          tensors_.emplace(extent.name, gguf::view_of(extent.name, extent.shape, *extent.type, data)).second;
    } else {
      added = others_
                  .emplace(extent.name, extent.type != nullptr ? std::string(extent.type->name)
                                                               : fmt::format("type {}", extent.type_number))
                  .second;
    }
    if (!added || (tensors_.count(extent.name) > 0 && others_.count(extent.name) > 0))
      throw ModelError(fmt::format("{}: tensor '{}' is listed twice", path().string(), extent.name));
  }
}

}  // namespace mmbatch
