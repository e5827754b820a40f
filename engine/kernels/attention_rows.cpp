#include "engine/kernels/attention_rows.h"

#include <cassert>
#include <cstring>

#include "engine/kernels/simd.h"
#include "engine/weights/tensor.h"

namespace mmbatch {
namespace {

constexpr std::size_t kMaxRowBytes = 512 * sizeof(float) + sizeof(float);

/// The elements of one row of a granule: `run` bytes together, runs `stride` bytes apart from `first` on.
struct Scattered {
  std::size_t first, run, stride;
};

Scattered scattered(const RowLayout& layout, RowKind kind, std::size_t token) {
  const bool pairs = layout.format != KvPrecision::f32;
  const std::size_t element = kv_element_bytes(layout.format);
  if (kind == RowKind::key) {
    const std::size_t run = pairs ? 2 * element : element;
    return {token * run, run, RowLayout::kGranule * run};
  }
  if (!pairs) return {token * layout.head_dim * element, element, element};
  return {(token / 2 * layout.head_dim * 2 + token % 2) * element, element, 2 * element};
}

/// Calls body(place in the granule, place in a plain row) for each of the row's runs, whose length is a
/// constant: they are copied by single instructions.
template <std::size_t run, class Body>
void each_run(const Scattered& at, std::size_t bytes, const Body& body) {
  for (std::size_t done = 0, place = at.first; done < bytes; done += run, place += at.stride)
    body.template operator()<run>(place, done);
}

template <class Body>
void each_run(const Scattered& at, std::size_t bytes, const Body& body) {
  if (at.run == 4) return each_run<4>(at, bytes, body);
  if (at.run == 2) return each_run<2>(at, bytes, body);
  each_run<1>(at, bytes, body);
}

struct Granule {
  std::size_t offset;    // of the granule in its rows, in bytes
  std::size_t token;     // in it
  std::size_t elements;  // bytes of a row's elements
  std::size_t scale;     // offset of the row's scale in the granule, where it has one
};

Granule granule_of(const RowLayout& layout, std::size_t token) {
  const std::size_t in_granule = token % RowLayout::kGranule;
  const std::size_t elements = layout.head_dim * kv_element_bytes(layout.format);
  return {(token - in_granule) * layout.row_stride, in_granule, elements,
          RowLayout::kGranule * elements + in_granule * sizeof(float)};
}

template <class Integer>
void scaled_floats(const std::byte* row, std::size_t n, float* x) {
  float scale;
  std::memcpy(&scale, row + n * sizeof(Integer), sizeof(scale));
  for (std::size_t d = 0; d < n; ++d) {
    Integer integer;
    std::memcpy(&integer, row + d * sizeof(integer), sizeof(integer));
    x[d] = static_cast<float>(integer) * scale;
  }
}

void to_floats(KvPrecision format, const std::byte* row, std::size_t n, float* x) {
  if (format == KvPrecision::f32) {
    std::memcpy(x, row, n * sizeof(float));
  } else if (format == KvPrecision::bf16) {
    copy_as_float({"", DType::bf16, {n}, row, {}, 0}, 0, n, x);
  } else if (format == KvPrecision::int16) {
    scaled_floats<std::int16_t>(row, n, x);
  } else {
    scaled_floats<std::int8_t>(row, n, x);
  }
}

}  // namespace

RowLayout RowLayout::floats(std::size_t head_dim, std::size_t stride) {
  return {KvPrecision::f32, Form::uncached, head_dim, stride * sizeof(float)};
}

RowLayout RowLayout::cached(KvPrecision format, std::size_t head_dim, std::size_t block_tokens) {
  const bool granules = block_tokens % kGranule == 0 && head_dim % 2 == 0;
  return {format, granules ? Form::granules : Form::plain, head_dim, kv_row_bytes(format, head_dim)};
}

void RowLayout::store(RowKind kind, const float* x, std::byte* rows, std::size_t token) const {
  if (form != Form::granules)
    return simd().store_cached(kind, format, x, head_dim, rows + token * row_stride);
  assert(row_stride <= kMaxRowBytes);
  std::byte row[kMaxRowBytes];
  simd().store_cached(kind, format, x, head_dim, row);
  const Granule granule = granule_of(*this, token);
  std::byte* to = rows + granule.offset;
  each_run(scattered(*this, kind, granule.token), granule.elements,
           [&]<std::size_t run>(std::size_t place, std::size_t done) {
             std::memcpy(to + place, row + done, run);
           });
  if (kv_scaled(format)) std::memcpy(to + granule.scale, row + granule.elements, sizeof(float));
}

void RowLayout::load(RowKind kind, const std::byte* rows, std::size_t token, float* x) const {
  if (form != Form::granules) return to_floats(format, rows + token * row_stride, head_dim, x);
  assert(row_stride <= kMaxRowBytes);
  std::byte row[kMaxRowBytes];
  const Granule granule = granule_of(*this, token);
  const std::byte* from = rows + granule.offset;
  each_run(scattered(*this, kind, granule.token), granule.elements,
           [&]<std::size_t run>(std::size_t place, std::size_t done) {
             std::memcpy(row + done, from + place, run);
           });
  if (kv_scaled(format)) std::memcpy(row + granule.elements, from + granule.scale, sizeof(float));
  to_floats(format, row, head_dim, x);
}

PagedRows PagedRows::floats(const float* keys, const float* values, std::size_t head_dim, std::size_t rows,
                            std::size_t stride) {
  static constexpr std::int32_t kOneBlock = 0;
  return {reinterpret_cast<const std::byte*>(keys),
          reinterpret_cast<const std::byte*>(values),
          &kOneBlock,
          rows,
          0,
          RowLayout::floats(head_dim, stride)};
}

}  // namespace mmbatch
