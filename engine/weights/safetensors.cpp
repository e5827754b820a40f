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
#include "engine/weights/gguf/block_form.h"

namespace mmbatch {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

constexpr std::size_t kMaxHeaderBytes = 100'000'000;  // the limit of the safetensors library

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

/// A tensor as the header describes it.
struct Entry {
  std::string name;
  std::string type;
  std::vector<std::size_t> shape;
  std::size_t begin = 0;  // in the data
  std::size_t end = 0;
  std::optional<DType> dtype = {};  // of a type that the engine computes with
};

/// Tensors lie one after another and fill the data: anything else means that a file is damaged, or was put
/// together so that readers disagree about it.
void check_extents(std::vector<Entry> entries, std::size_t data_begin, std::size_t data_bytes,
                   const std::string& file) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  Entry last;
  for (const Entry& entry : entries) {
    if (entry.begin < last.end) {
      throw ModelError(fmt::format("{}: tensors '{}' and '{}' overlap: [{}, {}) and [{}, {})", file,
                                   last.name, entry.name, last.begin, last.end, entry.begin, entry.end));
    }
    if (entry.begin > last.end) {
      throw ModelError(
          fmt::format("{}: damaged: bytes [{}, {}) of the data before tensor '{}' belong to none", file,
                      last.end, entry.begin, entry.name));
    }
    last = entry;
  }
  if (last.end > data_bytes) {
    throw ModelError(fmt::format(
        "{}: truncated: by its header it should have {} bytes, it has {}. Download or copy it again", file,
        data_begin + last.end, data_begin + data_bytes));
  }
  if (last.end < data_bytes) {
    throw ModelError(fmt::format(
        "{}: damaged: by its header it should have {} bytes, it has {}. Download or copy it again", file,
        data_begin + last.end, data_begin + data_bytes));
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
  const Grouping* grouping;  // whose name is there in place of a precision's, or null
  std::vector<std::size_t> shape;
  bool ordered;
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
    std::string precision, more;
    std::uint32_t rows = 0, cols = 0;
    const bool sized = (words >> precision >> rows >> cols) && rows > 0 && cols > 0;
    const Grouping* grouping = find_grouping(precision);
    const bool ordered = sized && (words >> more) && more == "ordered" && grouping != nullptr;
    if (!sized || (!more.empty() && !ordered))
      metadata.fail(key, "must be a precision, rows and columns, and may say behind a grouping: ordered");
    forms[key.substr(kPackedPrefix.size())] = {
        grouping != nullptr ? Precision::stored : stored_precision(metadata, key, precision),
        grouping,
        {rows, cols},
        ordered};
  }
  return forms;
}

/// A table that is stored as the blocks of a GGUF file: the value of its "blocks:NAME" is "TYPE ROWS COLS".
std::optional<TensorView> blocks_view(const Entry& entry, const Config& metadata, const std::byte* data) {
  const std::string key = "blocks:" + entry.name;
  if (!metadata.has(key)) return {};
  std::istringstream words(metadata.text(key, ""));
  std::string type;
  std::uint32_t rows = 0, cols = 0;
  words >> type >> rows >> cols;
  auto view =
      gguf::blocks_from(entry.name, {rows, cols}, type, {data + entry.begin, entry.end - entry.begin});
  if (!view)
    metadata.fail(key, "must be a type of GGUF, rows and columns that need as many bytes as are there");
  return view;
}

/// @param element bytes
void check_bytes(const Entry& entry, std::size_t element, const std::string& file) {
  std::size_t expected = element;
  for (const std::size_t dimension : entry.shape) {
    if (__builtin_mul_overflow(expected, dimension, &expected)) expected = SIZE_MAX;
  }
  if (entry.shape.size() <= 8 && expected == entry.end - entry.begin) return;
  throw ModelError(fmt::format("{}: tensor '{}': shape {} of {} needs {} bytes, data_offsets hold {}", file,
                               entry.name, shape_text(entry.shape), entry.type, expected,
                               entry.end - entry.begin));
}

Entry read_entry(const std::string& name, const Config& described) {
  Entry entry{name, described.text("dtype", ""), read_sizes(described, "shape", std::int64_t{1} << 40)};
  const std::vector<std::size_t> offsets = read_sizes(described, "data_offsets", INT64_MAX);
  if (offsets.size() != 2 || offsets[0] > offsets[1]) {
    throw ModelError(
        fmt::format("{}: tensor '{}': data_offsets must be [begin, end]", described.source(), name));
  }
  entry.begin = offsets[0];
  entry.end = offsets[1];
  if (const auto type = stored_type(entry.type)) {
    check_bytes(entry, type->bytes, described.source());
    entry.dtype = type->dtype;
  }
  return entry;
}

TensorView packed_view(const Entry& entry, const PackedForm& form, const std::byte* data,
                       const std::string& file) {
  TensorView view{entry.name, DType::f32, form.shape, data + entry.begin};
  view.packed = form.precision;
  view.grouping = form.grouping;
  view.ordered = form.ordered;
  view.packed_bytes = entry.end - entry.begin;
  if (view.elements() / 2 > view.packed_bytes) {  // no precision takes less than half a byte
    throw ModelError(fmt::format("{}: tensor '{}': {} values cannot be packed in {} bytes", file, entry.name,
                                 shape_text(view.shape), view.packed_bytes));
  }
  return view;
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
  const std::string where = path.string();
  const auto bytes = file_.bytes();
  std::uint64_t header_bytes = 0;
  if (bytes.size() < sizeof(header_bytes)) {
    throw ModelError(
        fmt::format("{}: truncated: {} bytes are too few for a safetensors file", where, bytes.size()));
  }
  std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));
  if (header_bytes > bytes.size() - sizeof(header_bytes) || header_bytes > kMaxHeaderBytes) {
    throw ModelError(
        fmt::format("{}: header of {} bytes announced in a file of {} bytes (at most {}): truncated, "
                    "or not a safetensors file",
                    where, header_bytes, bytes.size(), kMaxHeaderBytes));
  }
  data_begin_ = sizeof(header_bytes) + header_bytes;
  const auto* text = reinterpret_cast<const char*>(bytes.data() + sizeof(header_bytes));
  const Config header = Config::parse({text, header_bytes}, where);
  if (!header.is_object()) throw ModelError(where + ": the header is not a JSON object");
  read_tensors(header);
}

void SafetensorsFile::read_tensors(const Config& header) {
  const std::string where = path().string();
  const Config metadata = header.child("__metadata__");
  if (metadata.has("mmbatch.packed"))
    packed_ = stored_precision(metadata, "mmbatch.packed", metadata.text("mmbatch.packed", ""));
  smoothed_ = metadata.text("mmbatch.smoothed", "");
  const PackedForms packed_forms = packed_ ? read_packed_forms(metadata) : PackedForms();
  std::vector<Entry> entries;
  for (const auto& [name, described] : header.members()) {
    if (name != "__metadata__") entries.push_back(read_entry(name, described));
  }
  check_extents(entries, data_begin_, bytes() - data_begin_, where);
  const std::byte* data = file_.bytes().data() + data_begin_;
  for (const Entry& entry : entries) {
    const auto form = packed_forms.find(entry.name);
    bool added = false;
    if (form != packed_forms.end()) {
      added = tensors_.emplace(entry.name, packed_view(entry, form->second, data, where)).second;
    } else if (const auto blocks = blocks_view(entry, metadata, data)) {
      added = tensors_.emplace(entry.name, *blocks).second;
    } else if (entry.dtype) {
      added =
          tensors_.emplace(entry.name, TensorView{entry.name, *entry.dtype, entry.shape, data + entry.begin})
              .second;
    } else {
      added = others_.emplace(entry.name, entry.type).second;
      if (stored_type(entry.type))
        raw_.emplace(entry.name,
                     RawTensor{entry.type, entry.shape, data + entry.begin, entry.end - entry.begin});
    }
    if (!added) throw ModelError(fmt::format("{}: tensor '{}' is listed twice", where, entry.name));
  }
}

}  // namespace mmbatch
