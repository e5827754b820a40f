#include "engine/kernels/product/precision_choice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "engine/kernels/product/tile_product.h"

namespace mmbatch {
namespace {

/// A tile of products on the calling thread, of numbers that are neither all equal nor random.
class TriedProduct {
 public:
  explicit TriedProduct(Precision precision) : precision_(precision) {
    Matrix<float> weights(kColumns, kIn), x(kRows, kIn);
    for (std::size_t i = 0; i < kColumns * kIn; ++i) weights.data()[i] = std::sin(static_cast<float>(i));
    for (std::size_t i = 0; i < kRows * kIn; ++i) x.data()[i] = std::cos(static_cast<float>(i));
    packed_ = PackedTensor::pack(
        TensorView{"tried", DType::f32, {kColumns, kIn}, reinterpret_cast<const std::byte*>(weights.data())},
        precision);
    const MatmulKernel& kernel = packed_->kernel();
    const PreparedRows prepared = prepare_rows(kernel, {x.view()});
    x_ = Matrix<std::byte>(kRows, prepared.row_bytes);
    std::copy_n(prepared.data, kRows * prepared.row_bytes, x_.data());
    y_ = Matrix<float>(kRows, kernel.tile_columns);
  }

  Precision precision() const { return precision_; }
  double seconds() {
    const auto begin = std::chrono::steady_clock::now();
    const MatmulKernel& kernel = packed_->kernel();
    for (std::size_t tile = 0; tile < packed_->tiles(); ++tile)
      kernel.multiply(
          {x_.data(), y_.data(), kRows, kIn, std::min(kernel.tile_columns, kColumns), packed_->tile(tile)});
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

 private:
  static constexpr std::size_t kRows = 32, kIn = 1024, kColumns = 256;

  Precision precision_;
  std::shared_ptr<const PackedTensor> packed_;
  Matrix<std::byte> x_;
  Matrix<float> y_;
};

/// The best of several tries, taken in turn: another program that takes the core for a while meets them all.
std::vector<ProductTime> times_of(std::span<const Precision> precisions) {
  constexpr std::size_t kTries = 12;
  std::vector<TriedProduct> products;
  std::vector<ProductTime> times;
  for (const Precision precision : precisions) {
    products.emplace_back(precision);
    times.push_back({precision, std::numeric_limits<double>::infinity()});
  }
  for (std::size_t i = 0; i < kTries; ++i) {
    for (std::size_t p = 0; p < products.size(); ++p)
      times[p].seconds = std::min(times[p].seconds, products[p].seconds());
  }
  return times;
}

/// Which types are taken as they are, and which are rounded.
std::string reason_to_keep(const WeightSource& weights) {
  std::set<std::string> kept, rounded;
  for (const auto& [name, tensor] : weights.tensors()) {
    if (tensor.shape.size() < 2 || !is_quantized(tensor)) continue;
    (tensor.form->grouping() != nullptr ? kept : rounded).insert(stored_type(tensor));
  }
  std::string reason;
  if (!kept.empty()) reason = fmt::format("{} are multiplied as they are stored", fmt::join(kept, ", "));
  if (!rounded.empty())
    reason += fmt::format("{}{} are rounded to eight bits in groups of 32", kept.empty() ? "" : "; ",
                          fmt::join(rounded, ", "));
  return reason;
}

}  // namespace

PrecisionChoice choose(std::span<const ProductTime> times) {
  ProductTime taken = times.front();
  std::string reason;
  for (const ProductTime& tried : times.subspan(1)) {
    const double ratio = taken.seconds / tried.seconds;
    reason +=
        fmt::format("{}products in {} are {:.1f} times as fast here as in {}", reason.empty() ? "" : "; ",
                    to_string(tried.precision), ratio, to_string(taken.precision));
    if (ratio >= kWorthwhile)
      taken = tried;
    else
      reason += fmt::format(", less than the {} that it would take", kWorthwhile);
  }
  return {taken.precision, reason};
}

bool is_quantized(const WeightSource& weights) {
  std::size_t quantized = 0, all = 0;
  for (const auto& [name, tensor] : weights.tensors()) {
    if (tensor.shape.size() < 2) continue;
    all += tensor.elements();
    if (is_quantized(tensor)) quantized += tensor.elements();
  }
  return 2 * quantized > all;
}

PrecisionChoice choose_precision(Automatic automatic) {
  if (automatic == Automatic::floats) {
    static const PrecisionChoice floats = choose(times_of(std::vector{Precision::f32, Precision::bf16}));
    return floats;
  }
  static const PrecisionChoice all =
      choose(times_of(std::vector{Precision::f32, Precision::bf16, Precision::int8}));
  return all;
}

PrecisionChoice choose_precision(const WeightSource& weights, const PrecisionWish& wish) {
  if (const auto* named = std::get_if<Precision>(&wish)) return {*named, ""};
  if (const auto packed = weights.packed())
    return {*packed, fmt::format("the weights are packed in {}", to_string(*packed))};
  if (is_quantized(weights)) return {Precision::stored, reason_to_keep(weights)};
  return choose_precision(std::get<Automatic>(wish));
}

}  // namespace mmbatch
