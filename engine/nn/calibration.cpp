#include "engine/nn/calibration.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

#include "engine/base/threads.h"

namespace mmbatch {
namespace {

/// How far a factor may be from the norm's middle one, as an exponent of two: a channel that was all but
/// zero in calibration must not become an outlier when it is not.
constexpr float kLargestExponent = 8;

/// Raises each element to the magnitude of the value beside it.
void raise(std::span<float> largest, const float* values) {
  for (std::size_t i = 0; i < largest.size(); ++i) largest[i] = std::max(largest[i], std::abs(values[i]));
}

/// The largest magnitude of each input's weights, of all readers: [hidden]
std::vector<float> largest_weights(const NormedChannels& channels) {
  constexpr std::size_t kRows = 64;  // transposed ones are slow to read row by row
  std::vector<float> largest(channels.largest.size()), rows(kRows * largest.size());
  const auto take = [&](const MatrixPart& weight) {
    assert(weight.cols == largest.size());
    for (std::size_t first = 0; first < weight.rows; first += kRows) {
      const std::size_t count = std::min(kRows, weight.rows - first);
      copy_rows(weight, first, count, rows.data());
      for (std::size_t r = 0; r < count; ++r) raise(largest, &rows[r * weight.cols]);
    }
  };
  for (const MatrixPart& weight : channels.readers.packed) take(weight);
  for (const TensorView& weight : channels.readers.plain) take(weight);
  return largest;
}

/// [hidden]
std::vector<float> factors_of(const NormedChannels& channels, float alpha) {
  const std::vector<float> weights = largest_weights(channels);
  std::vector<float> exponents(weights.size()), known;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const float a = channels.largest[i], w = weights[i];
    const bool usable = a > 0 && w > 0 && std::isfinite(a) && std::isfinite(w);
    exponents[i] = usable ? alpha * std::log2(a) - (1 - alpha) * std::log2(w) : NAN;
    if (usable) known.push_back(exponents[i]);
  }
  if (known.empty()) return std::vector<float>(weights.size(), 1.0f);
  const auto middle = known.begin() + static_cast<std::ptrdiff_t>(known.size() / 2);
  std::nth_element(known.begin(), middle, known.end());
  for (float& exponent : exponents) {
    const float relative = std::isnan(exponent) ? 0.0f : exponent - *middle;
    exponent = std::exp2(std::nearbyint(std::clamp(relative, -kLargestExponent, kLargestExponent)));
  }
  return exponents;
}

/// Columns multiplied with their factors.
std::vector<float> multiplied(std::vector<float> weight, const std::vector<float>& factors) {
  for (std::size_t i = 0; i < weight.size(); ++i) weight[i] *= factors[i % factors.size()];
  return weight;
}

/// (offset + weight) · x̂ + bias, divided channel by channel.
std::vector<float> divided(std::vector<float> tensor, const std::vector<float>& factors, float offset) {
  for (std::size_t i = 0; i < tensor.size(); ++i) tensor[i] = (tensor[i] + offset) / factors[i] - offset;
  return tensor;
}

}  // namespace

void NormedChannels::see(MatrixView<const float> rows) {
  for (std::size_t r = 0; r < rows.rows; ++r) raise(largest, rows.row(r));
}

NormedChannels& Calibration::add(std::string norm, const NormConfig& config, NormReaders readers) {
  const std::size_t hidden = readers.packed.front().cols;
  norms_.push_back({std::move(norm), config, std::move(readers), std::vector<float>(hidden)});
  return norms_.back();
}

Smoothing smoothing_of(const Calibration& calibration, const WeightSource& weights, float alpha) {
  const std::deque<NormedChannels>& norms = calibration.norms();
  std::vector<std::vector<float>> factors(norms.size());
  parallel_tiles(norms.size(), [&](std::size_t i) { factors[i] = factors_of(norms[i], alpha); });
  Smoothing smoothing;
  for (std::size_t i = 0; i < norms.size(); ++i) {
    const NormedChannels& channels = norms[i];
    const auto divide = [&](const std::string& name, float offset) {
      const std::vector<float> stored = to_floats(weights.tensor(name, {factors[i].size()}));
      smoothing.tensors[name] = divided(stored, factors[i], offset);
    };
    const bool rms = channels.config.kind == NormKind::rms;
    divide(channels.norm + ".weight", rms ? channels.config.offset : 0.0f);
    if (!rms) divide(channels.norm + ".bias", 0.0f);
    for (const MatrixPart& reader : channels.readers.packed) smoothing.factors[reader.name] = factors[i];
    for (const TensorView& reader : channels.readers.plain)
      smoothing.tensors[reader.name] = multiplied(to_floats(reader), factors[i]);
  }
  return smoothing;
}

}  // namespace mmbatch
