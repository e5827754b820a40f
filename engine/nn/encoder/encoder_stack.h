#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/nn/layer.h"

namespace mmbatch {

/// Which rows of its sequence, or of its window, a row of an encoder sees.
enum class EncoderAttention {
  all,
  causal,  // those before it
  prefix,  // those before it; the first ones, whose number the input says, see each other
};

/// The layers of an encoder as data: all alike, but that some may see a part of their sequence only.
struct EncoderStackConfig {
  LayerConfig layer;
  std::size_t layers = 0;
  LayerNames names;                   // pattern of the tensors' names
  std::vector<std::size_t> windowed;  // layers whose rows see those of their window only
  EncoderAttention attends = EncoderAttention::all;
};

/// Where a copy of what one layer makes goes.
struct LayerTap {
  std::size_t layer = 0;
  MatrixView<float> rows;  // [all rows, hidden]
};

/// Keys and values that the rows of one sequence attend to in cross-attention, as CrossKeys makes them.
struct CrossRows {
  MatrixView<const float> rows;  // [rows, keys and values of all layers of the stack, one after another]
};

/// The rows of one pass.
struct EncoderInput {
  std::span<const std::size_t> sequences;     // rows of each: they see each other
  std::span<const std::size_t> windows = {};  // rows of each, one after another; each lies in one sequence
  std::span<const std::size_t> prefixes =
      {};                            // EncoderAttention::prefix: how many rows of each see each other
  const RopeAngles* rope = nullptr;  // of all rows; null: queries and keys are not rotated
  std::span<const LayerTap> taps = {};
  std::span<const CrossRows> cross = {};  // of each sequence, where the layers have cross-attention
};

class StackLayers;

/// The layers of an encoder, without a cache: all rows of a sequence see each other, or all of a window.
/// Layers that are cut into slices are computed by all processes, where there are several: rank 0 tells the
/// others what goes through them. Layers that slices do not divide are rank 0's alone.
class EncoderStack {
 public:
  /// @throws ModelError
  EncoderStack(const Weights& weights, const EncoderStackConfig& config);
  /// Another process's part of a stack that rank 0 has as a whole; lives for as long as its part is computed.
  /// Null where the stack is rank 0's alone.
  static std::shared_ptr<const SharedWork> part(const Weights& weights, const EncoderStackConfig& config);

  /// @param x [sum of sequences, hidden], in place
  void forward(MatrixView<float> x, const EncoderInput& input, Scratch& scratch) const;
  std::size_t bytes() const;

 private:
  std::shared_ptr<const StackLayers> layers_;
};

/// Whether so many slices divide an encoder's layers, at least in part.
bool slices_divide(const LayerConfig& layer, std::size_t slices);

}  // namespace mmbatch
