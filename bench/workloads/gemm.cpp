#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "bench/checkpoint/rounded_source.h"
#include "bench/checkpoint/tensors.h"
#include "bench/inputs/random_rows.h"
#include "bench/workload.h"
#include "engine/kernels/matmul.h"

namespace mmbatch::bench {
namespace {

struct Shape {
  std::size_t in, out;
};

constexpr Shape kShapes[] = {{2048, 2048}, {2048, 5632}, {5632, 2048},
                             {1024, 4096}, {4096, 1024}, {4096, 11008}};
constexpr std::size_t kRows[] = {1, 4, 8, 16, 32, 128, 512};
/// The matrices taken in turn are this many bytes together: no cache holds them.
constexpr std::size_t kTogether = std::size_t{320} << 20;

/// Different copies of one random matrix: what matters is that each has a place of its own in memory.
std::vector<PackedMatrix> packed_copies(const Shape& shape, std::size_t together, const Session& session) {
  const RandomTensor random{"weight", {shape.out, shape.in}, 0, 0.02f};
  std::vector<std::uint16_t> values(random.elements());
  fill_random(random, 1, 0, values.size(), values.data());
  TensorView weight{random.name, DType::bf16, random.shape,
                    reinterpret_cast<const std::byte*>(values.data())};
  if (session.options().precision == Precision::stored)
    weight = rounded(weight, *find_stored_mix(session.options().stored_as).most);
  std::vector<PackedMatrix> copies;
  std::size_t bytes = 0;
  do {
    copies.push_back(PackedMatrix::pack(weight, session.options().precision));
    bytes += copies.back().bytes();
  } while (bytes < together);
  return copies;
}

}  // namespace

void run_gemm(Session& session) {
  const auto shapes = session.quick() ? std::span(kShapes).first(1) : std::span(kShapes);
  const auto rows = session.quick() ? std::span(kRows).first(2) : std::span(kRows);
  for (const Shape& shape : shapes) {
    std::vector<PackedMatrix> matrices;
    session.arena().run([&] { matrices = packed_copies(shape, session.quick() ? 0 : kTogether, session); });
    for (const std::size_t m : rows) {
      const Matrix<float> x = random_rows(m, shape.in);
      Matrix<float> y(m, shape.out);
      // From some rows on the weights' way from memory no longer counts; then a few matrices are enough.
      const double operations = 2.0 * static_cast<double>(m * shape.in * shape.out);
      const auto enough = static_cast<std::size_t>(4e10 / operations) + 1;
      const std::size_t count = m >= 128 ? std::min(matrices.size(), enough) : matrices.size();
      const Timing timing = session.time(7, [&] {
        for (std::size_t i = 0; i < count; ++i) matrices[i].multiply(x.view(), y.view());
      });
      const double bytes = static_cast<double>(matrices[0].bytes() + x.bytes() + y.bytes());
      session.add({fmt::format("{}x{} M={}", shape.in, shape.out, m),
                   timing.divided_by(static_cast<double>(count)), operations / 1e9, "GFLOP/s",
                   Work{operations, bytes}});
    }
  }
}

}  // namespace mmbatch::bench
