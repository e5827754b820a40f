#include "engine/weights/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <sstream>
#include <vector>

#include "engine/base/config.h"
#include "engine/base/error.h"

namespace mmbatch {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

struct StoredType {
  std::size_t bytes;
  std::optional<DType> dtype;
};

std::optional<StoredType> stored_type(const std::string& name) {
  static const std::map<std::string, StoredType> known = {
      {"F32", {4, DType::f32}}, {"F16", {2, DType::f16}}, {"BF16", {2, DType::bf16}}, {"F64", {8, {}}},
      {"I64", {8, {}}},         {"I32", {4, {}}},         {"I16", {2, {}}},           {"I8", {1, {}}},
      {"U8", {1, {}}},          {"U16", {2, {}}},         {"U32", {4, {}}},           {"U64", {8, {}}},
      {"BOOL", {1, {}}},        {"F8_E4M3", {1, {}}},     {"F8_E5M2", {1, {}}},
  };
  const auto found = known.find(name);
  if (found == known.end()) return {};
  return found->second;
}

struct Extent {
  std::size_t begin;
  std::size_t end;
  std::string name;
};

void check_no_overlap(std::vector<Extent> extents, const std::string& file) {
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].begin < extents[i - 1].end) {
      throw ModelError(fmt::format("{}: tensors '{}' and '{}' overlap: [{}, {}) and [{}, {})", file,
                                   extents[i - 1].name, extents[i].name, extents[i - 1].begin,
                                   extents[i - 1].end, extents[i].begin, extents[i].end));
    }
  }
}

std::vector<std::size_t> read_sizes(const Config& entry, const std::string& key, std::int64_t max) {
  std::vector<std::size_t> sizes;
  for (const std::int64_t value : entry.integers(key)) {
    if (value < 0 || value > max) entry.fail(key, fmt::format("{} is out of range [0, {}]", value, max));
    sizes.push_back(static_cast<std::size_t>(value));
  }
  return sizes;
}

/// What a packed tensor was before: the value of its "packed:NAME".
struct PackedForm {
  Precision precision;
  std::vector<std::size_t> shape;
};

using PackedForms = std::map<std::string, PackedForm>;

constexpr std::string_view kPackedPrefix = "packed:";

/// A precision that a file names: one that is not known is the file's fault, not the command line's.
Precision stored_precision(const Config& metadata, const std::string& key, std::string_view name) {
  try {
    return precision_from(name);
  } catch (const UsageError& e) {
    metadata.fail(key, e.what());
  }
}

/// @throws ModelError when the bytes of packed tensors would mean something else here
void check_layout(const Config& metadata) {
  const std::string key = "mmbatch.layout", here = std::to_string(kPackedLayout);
  const std::string layout = metadata.text(key, "1");  // the first one had no name
  if (layout == here) return;
  metadata.fail(key,
                fmt::format("packed in layout {} by another version of mmbatch, this one reads {}; pack the "
                            "published checkpoint again with mmbatch quantize",
                            layout, here));
}

PackedForms read_packed_forms(const Config& metadata) {
  check_layout(metadata);
  PackedForms forms;
  for (const auto& [key, value] : metadata.members()) {
    if (key.rfind(kPackedPrefix, 0) != 0) continue;
    std::istringstream words(value.as_text());
    std::string precision;
    std::uint32_t rows = 0, cols = 0;
    if (!(words >> precision >> rows >> cols) || rows == 0 || cols == 0)
      metadata.fail(key, "must be a precision, rows and columns");
    forms[key.substr(kPackedPrefix.size())] = {stored_precision(metadata, key, precision), {rows, cols}};
  }
  return forms;
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
  const std::string where = path.string();
  const auto bytes = file_.bytes();
  std::uint64_t header_bytes = 0;
  if (bytes.size() < sizeof(header_bytes)) {
    throw ModelError(fmt::format("{}: {} bytes are too few for a safetensors file", where, bytes.size()));
  }
  std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));
  if (header_bytes > bytes.size() - sizeof(header_bytes) || header_bytes > Config::kMaxFileBytes) {
    throw ModelError(
        fmt::format("{}: header of {} bytes announced in a file of {} bytes (at most {} MiB): truncated, "
                    "or no safetensors file",
                    where, header_bytes, bytes.size(), Config::kMaxFileBytes >> 20));
  }
  data_begin_ = sizeof(header_bytes) + header_bytes;
  const std::byte* data = bytes.data() + data_begin_;
  const std::size_t data_bytes = bytes.size() - data_begin_;
  const auto limit = static_cast<std::int64_t>(data_bytes);

  const auto* text = reinterpret_cast<const char*>(bytes.data() + sizeof(header_bytes));
  const Config header = Config::parse({text, header_bytes}, where);
  if (!header.is_object()) throw ModelError(where + ": the header is no JSON object");
  const Config metadata = header.child("__metadata__");
  if (metadata.has("mmbatch.packed"))
    packed_ = stored_precision(metadata, "mmbatch.packed", metadata.text("mmbatch.packed", ""));
  smoothed_ = metadata.text("mmbatch.smoothed", "");
  const PackedForms packed_forms = packed_ ? read_packed_forms(metadata) : PackedForms();
  std::vector<Extent> extents;
  for (const auto& [name, entry] : header.members()) {
    if (name == "__metadata__") continue;
    const std::string type_name = entry.text("dtype", "");
    const auto type = stored_type(type_name);
    if (!type) throw ModelError(fmt::format("{}: tensor '{}': unknown dtype '{}'", where, name, type_name));
    const std::vector<std::size_t> shape = read_sizes(entry, "shape", std::int64_t{1} << 40);
    const std::vector<std::size_t> offsets = read_sizes(entry, "data_offsets", limit);
    if (offsets.size() != 2 || offsets[0] > offsets[1]) {
      throw ModelError(fmt::format("{}: tensor '{}': data_offsets must be [begin, end]", where, name));
    }
    std::size_t expected = type->bytes;
    for (const std::size_t dimension : shape) {
      if (__builtin_mul_overflow(expected, dimension, &expected)) expected = SIZE_MAX;
    }
    if (shape.size() > 8 || expected != offsets[1] - offsets[0]) {
      throw ModelError(fmt::format("{}: tensor '{}': shape {} of {} needs {} bytes, data_offsets hold {}",
                                   where, name, shape_text(shape), type_name, expected,
                                   offsets[1] - offsets[0]));
    }
    if (expected > 0) extents.push_back({offsets[0], offsets[1], name});
    if (const auto form = packed_forms.find(name); form != packed_forms.end()) {
      TensorView packed{name, DType::f32, form->second.shape, data + offsets[0]};
      if (packed.elements() / 2 > expected) {  // no precision takes less than half a byte
        throw ModelError(fmt::format("{}: tensor '{}': {} values cannot be packed in {} bytes", where, name,
                                     shape_text(packed.shape), expected));
      }
      packed.packed = form->second.precision;
      packed.packed_bytes = expected;
      if (!tensors_.emplace(name, std::move(packed)).second)
        throw ModelError(fmt::format("{}: tensor '{}' is listed twice", where, name));
      continue;
    }
    const bool added =
        type->dtype
            ? tensors_.emplace(name, TensorView{name, *type->dtype, shape, data + offsets[0], {}, 0}).second
            : unsupported_.emplace(name, type_name).second;
    if (!added) throw ModelError(fmt::format("{}: tensor '{}' is listed twice", where, name));
  }
  check_no_overlap(std::move(extents), where);
}

}  // namespace mmbatch
