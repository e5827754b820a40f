#include <omp.h>

#include <dnnl.hpp>
#include <map>
#include <string>
#include <string_view>
#include <tuple>

#include "engine/kernels/matmul_kernel.h"
#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

using dnnl::memory;
constexpr auto kFloat = memory::data_type::f32;

memory::dim dim(std::size_t n) {
  return static_cast<memory::dim>(n);
}

const dnnl::engine& cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

memory::desc plain(std::size_t rows, std::size_t cols) {
  return {{dim(rows), dim(cols)}, kFloat, memory::dims{dim(cols), 1}};
}

/// The packed layout. oneDNN gives the same one for every number of rows; the self-test would notice if not.
memory::desc packed_layout(std::size_t in, std::size_t columns) {
  const memory::desc any({dim(in), dim(columns)}, kFloat, memory::format_tag::any);
  const dnnl::matmul::desc product(plain(64, in), any, plain(64, columns));
  return dnnl::matmul::primitive_desc(product, cpu()).weights_desc();
}

using Key = std::tuple<std::size_t, std::size_t, std::size_t>;

struct Product {
  dnnl::matmul::primitive_desc description;
  dnnl::matmul primitive;
  memory x, weights, y, scratchpad;
  std::string scratch;
};

/// What a thread needs to run products: primitives are made for one number of rows, 0.07 ms each, and kept.
struct Runner {
  dnnl::stream stream{cpu()};
  std::map<Key, Product> products;

  Runner() { omp_set_num_threads(1); }  // holds for the calling thread only: tiles are the parallelism

  Product& product(const MatmulKernel::Tile& tile) {
    const Key key{tile.rows, tile.in, tile.columns};
    const auto known = products.find(key);
    if (known != products.end()) return known->second;
    const memory::desc x = plain(tile.rows, tile.in);
    const memory::desc y = plain(tile.rows, tile.columns);
    const memory::desc weights = packed_layout(tile.in, tile.columns);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    dnnl::matmul::primitive_desc description(dnnl::matmul::desc(x, weights, y), attributes, cpu());
    Product made{description, dnnl::matmul(description), {}, {}, {}, {}, {}};
    made.scratch.resize(description.scratchpad_desc().get_size() + 64);
    made.x = memory(x, cpu(), DNNL_MEMORY_NONE);
    made.y = memory(y, cpu(), DNNL_MEMORY_NONE);
    made.weights = memory(weights, cpu(), DNNL_MEMORY_NONE);
    made.scratchpad = memory(description.scratchpad_desc(), cpu(), made.scratch.data());
    return products.emplace(key, std::move(made)).first->second;
  }
};

Runner& runner() {
  thread_local Runner mine;
  return mine;
}

bool onednn_usable() {
  // oneDNN looks at the processor and not at MMBATCH_ISA: a level without AVX-512 is to be without it here
  // too.
  if (!std::string_view(simd().name).starts_with("avx512")) return false;
  const memory::desc any({64, 64}, kFloat, memory::format_tag::any);
  const dnnl::matmul::primitive_desc tried(dnnl::matmul::desc(plain(64, 64), any, plain(64, 64)), cpu());
  return std::string(tried.impl_info_str()).rfind("brg:", 0) == 0;
}

std::size_t onednn_packed_bytes(std::size_t in, std::size_t columns) {
  return packed_layout(in, columns).get_size();
}

void onednn_pack(const float* weights, std::size_t in, std::size_t columns, std::byte* packed) {
  const memory::desc stored({dim(in), dim(columns)}, kFloat, memory::dims{1, dim(in)});
  memory from(stored, cpu(), const_cast<float*>(weights));
  memory to(packed_layout(in, columns), cpu(), packed);
  dnnl::stream& stream = runner().stream;
  dnnl::reorder(from, to).execute(stream, from, to);
  stream.wait();
}

void onednn_multiply(const MatmulKernel::Tile& tile) {
  Runner& mine = runner();
  Product& product = mine.product(tile);
  product.x.set_data_handle(const_cast<std::byte*>(tile.x));
  product.y.set_data_handle(tile.y);
  product.weights.set_data_handle(const_cast<std::byte*>(tile.packed));
  product.scratchpad.set_data_handle(product.scratch.data());
  product.primitive.execute(mine.stream, {{DNNL_ARG_SRC, product.x},
                                          {DNNL_ARG_WEIGHTS, product.weights},
                                          {DNNL_ARG_DST, product.y},
                                          {DNNL_ARG_SCRATCHPAD, product.scratchpad}});
  mine.stream.wait();
}

}  // namespace

const MatmulKernel kOneDnnMatmul = {
    "onednn",        Precision::f32, onednn_usable,  256, onednn_packed_bytes, onednn_pack,
    float_row_bytes, nullptr,        onednn_multiply};

}  // namespace mmbatch
