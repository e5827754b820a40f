#pragma once

#include <array>
#include <cstddef>
#include <functional>

#include "engine/base/matrix.h"

namespace mmbatch {

/// Activations of the layers of one forward pass, kept from pass to pass. Used by one thread at a time.
class Scratch {
 public:
  enum Slot {
    stream,
    stream_copy,
    kept,
    qkv,
    attended,
    widened,
    projected,
    normed,
    answers,
    shared,
    dense,
    experts,
    per_layer,
    per_layer_kept,
    slices_made,
    slots
  };

  /// The slot's memory as [rows, cols], not initialised; what it held before is gone.
  MatrixView<float> take(Slot slot, std::size_t rows, std::size_t cols) {
    Matrix<float>& memory = memory_[slot];
    if (memory.cols() < rows * cols) memory = Matrix<float>(1, rows * cols);
    return {memory.data(), rows, cols};
  }
  /// Logits that nobody needs any more: a decoder takes their memory for those of the next step. May be empty.
  Matrix<float> logits;
  /// Called with what each layer of an encoder or a decoder made; empty: nobody looks.
  /// Its rows, [some sequences · rows, hidden], are the next layer's to change.
  std::function<void(std::size_t layer, MatrixView<const float> rows)> on_layer;
  /// Places before the first layer.
  enum class Before { positions, layers };
  /// Called with what comes to those places, in the same way.
  std::function<void(Before place, MatrixView<const float> rows)> on_input;

  /// Places inside a layer, behind the sum.
  enum class Part { attention, cross_attention };
  /// Called with what comes out there, in the same way.
  std::function<void(Part part, MatrixView<const float> rows)> on_part;

  std::size_t bytes() const {
    std::size_t total = 0;
    for (const Matrix<float>& memory : memory_) total += memory.bytes();
    return total;
  }

 private:
  std::array<Matrix<float>, slots> memory_;
};

}  // namespace mmbatch
