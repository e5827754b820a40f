#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/matrix.h"
#include "engine/nn/weights.h"

namespace mmbatch {

struct NormedChannels;

enum class NormKind { rms, layer };

/// Whether what a norm makes is multiplied by a stored weight.
enum class NormWeight { stored, none };

struct NormConfig {
  NormKind kind = NormKind::rms;
  float eps = 1e-6f;
  float offset = 0.0f;                     // rms: added to the weight (1 where x̂·(1 + w) is meant)
  NormWeight weight = NormWeight::stored;  // none: of rms alone
};

/// Normalises rows: RMSNorm (arXiv 1910.07467) or LayerNorm (arXiv 1607.06450), in float32.
class Norm {
 public:
  Norm() = default;
  /// Reads `name`.weight and, for LayerNorm, `name`.bias, [hidden].
  /// @param name of no meaning without a weight   @throws ModelError
  Norm(const Weights& weights, const std::string& name, std::size_t hidden, const NormConfig& config);
  /// An RMSNorm whose weight is made, not stored.  @param weight [hidden]
  Norm(std::vector<float> weight, const NormConfig& config) : config_(config), weight_(std::move(weight)) {}

  /// out = norm(x) of one row, [hidden]; they may be the same. Not shown to anybody.
  void row(const float* x, float* out) const;
  /// out = norm(x); both [rows, hidden], and may be the same.
  void forward(MatrixView<const float> x, MatrixView<float> out) const;

  /// From now on forward() shows what it makes, and is called by one thread at a time.
  void show_to(NormedChannels& channels) { channels_ = &channels; }
  bool shown() const { return channels_ != nullptr; }

 private:
  NormConfig config_;
  std::vector<float> weight_;
  std::vector<float> bias_;
  NormedChannels* channels_ = nullptr;  // null: nobody looks
};

}  // namespace mmbatch
