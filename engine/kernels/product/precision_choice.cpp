#include "engine/kernels/product/precision_choice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>
#include <set>
#include <vector>

#include "engine/kernels/product/tile_product.h"

namespace mmbatch {
namespace {

bool multiplies_bfloat16() {
  return simd().bf16_bytes == sizeof(std::uint16_t);
}

/// Processor time of the calling thread: other programs that take the core do not count.
double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

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
    const double begin = thread_seconds();
    const MatmulKernel& kernel = packed_->kernel();
    for (std::size_t tile = 0; tile < packed_->tiles(); ++tile)
      kernel.multiply(
          {x_.data(), y_.data(), kRows, kIn, std::min(kernel.tile_columns, kColumns), packed_->tile(tile)});
    return thread_seconds() - begin;
  }

 private:
  static constexpr std::size_t kRows = 32, kIn = 1024, kColumns = 256;

  Precision precision_;
  std::shared_ptr<const PackedTensor> packed_;
  Matrix<std::byte> x_;
  Matrix<float> y_;
};

/// The best of several tries, taken in turn: what slows the core down for a while meets them all.
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

namespace {

/// Of float32, bfloat16 and int8, if it may be taken. Where nothing multiplies bfloat16, int16 stands for
/// both of the first: its products are never slower.
PrecisionChoice choose_of(Automatic automatic) {
  const bool bf16 = multiplies_bfloat16(), int8_too = automatic == Automatic::int8_too;
  const PrecisionChoice whole = {
      Precision::int16,
      fmt::format("nothing multiplies bf16 at level {}; int16 errs less, in half of f32's memory",
                  simd().name)};
  if (!bf16 && !int8_too) return whole;
  std::vector<Precision> precisions = {Precision::f32};
  if (bf16) precisions.push_back(Precision::bf16);
  if (int8_too) precisions.push_back(Precision::int8);
  const PrecisionChoice choice = choose(times_of(precisions));
  return choice.precision == Precision::f32 && !bf16 ? whole : choice;
}

}  // namespace

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
    static const PrecisionChoice floats = choose_of(Automatic::floats);
    return floats;
  }
  static const PrecisionChoice all = choose_of(Automatic::int8_too);
  return all;
}

PrecisionChoice choose_precision(const WeightSource& weights, const PrecisionWish& wish) {
  if (const auto* named = std::get_if<Precision>(&wish)) return {*named, ""};
  if (const auto packed = weights.packed())
    return {*packed, fmt::format("the weights are packed in {}", to_string(*packed))};
  if (is_quantized(weights)) return {Precision::stored, reason_to_keep(weights)};
  return choose_precision(std::get<Automatic>(wish));
}

namespace {

/// Where bfloat16 is multiplied.
KvPrecision usual_kv_precision(Precision precision) {
  if (precision == Precision::f32) return KvPrecision::f32;
  return precision == Precision::int16 ? KvPrecision::int16 : KvPrecision::bf16;
}

}  // namespace

KvPrecision choose_kv_precision(std::optional<KvPrecision> named, Precision precision) {
  if (named) return *named;
  const KvPrecision usual = usual_kv_precision(precision);
  return usual == KvPrecision::bf16 && !multiplies_bfloat16() ? KvPrecision::int16 : usual;
}

std::string precision_text(Precision precision, std::optional<KvPrecision> kv) {
  if (!kv || *kv == usual_kv_precision(precision)) return std::string(to_string(precision));
  return fmt::format("{}, kv {}", to_string(precision), to_string(*kv));
}

}  // namespace mmbatch
