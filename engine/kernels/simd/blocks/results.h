#pragma once

// From complete sums to where a product goes: with many rows some at a time, while they are in the
// first-level cache.

#include "engine/kernels/panel.h"
#include "engine/kernels/simd/blocks/registers.h"
#include "engine/kernels/simd/functions.h"

namespace mmbatch::MMBATCH_ISA {

/// Complete sums of neighbouring rows and strips of a panel.
struct Results {
  float* at;           // of the first row's first strip
  std::size_t stride;  // floats from one row to the next
  std::size_t first, rows;
  std::size_t strip, strips;
};

/// Of sums that are worth what they are.
struct SumsAsTheyAre {
  static constexpr bool kChange = false;
  MMBATCH_INLINE SumsAsTheyAre of(std::size_t) { return {}; }
  __attribute__((always_inline)) Floats operator()(const float* sums, std::size_t) const {
    return load(sums);
  }
};

/// y[r, s] = change(results, r, s) for each row and each strip, counted from the first ones.
template <class Values, class Change>
MMBATCH_INLINE void store_results(const Results& results, const Values& values, float* y, std::size_t stride,
                                  const Change& change) {
  for (std::size_t r = 0; r < results.rows; ++r) {
    const auto& of_row = values.of(results.first + r);
    const float* sums = results.at + r * results.stride;
    for (std::size_t s = 0; s < results.strips; ++s, sums += Panel::kStrip) {
      const Floats value =
          kept(of_row(sums, results.strip + s));  // joined with no sum: the same wherever it goes
      store(y + r * stride + s * Panel::kStrip, change(value, r, s * Panel::kStrip));
    }
  }
}

/// Stores what the sums are worth where the target says, or, without one, in their own place. The bytes are
/// those of finish(): no product is followed by a sum here, so that the compiler cannot join them.
/// @param values kChange, whether that is anything but the sums; of(row), counted from the product's first,
/// gives what maps sixteen sums and their strip to elements of y before they are finished
template <class Values>
__attribute__((noinline)) void deliver(const PanelProduct& p, const Results& results, const Values& values) {
  const auto in_place = [&] {
    if constexpr (Values::kChange) {
      store_results(results, values, results.at, results.stride,
                    [](Floats v, std::size_t, std::size_t) { return v; });
    }
  };
  if (p.target == nullptr) return in_place();
  const ProductTarget& to = *p.target;
  const std::size_t column = results.strip * Panel::kStrip, columns = results.strips * Panel::kStrip;
  if (column >= to.columns) return;
  Finish how = to.finish;
  if (how.bias != nullptr) how.bias += column;
  if (how.factor != nullptr) how.factor += results.first * how.factor_stride + column;
  float* y = to.y + results.first * to.stride + column;
  if (how.activation != nullptr || column + columns > to.columns) {
    in_place();
    return finish(how, {results.at, results.stride, y, to.stride, results.rows,
                        columns < to.columns - column ? columns : to.columns - column});
  }
  const auto store_all = [&](const auto& biased) {
    if (how.accumulate) {
      store_results(results, values, y, to.stride, [&](Floats v, std::size_t r, std::size_t c) {
        return load(y + r * to.stride + c) + biased(v, c);
      });
    } else if (how.factor != nullptr) {
      store_results(results, values, y, to.stride, [&](Floats v, std::size_t r, std::size_t c) {
        return load(how.factor + r * how.factor_stride + c) * biased(v, c);
      });
    } else {
      store_results(results, values, y, to.stride,
                    [&](Floats v, std::size_t, std::size_t c) { return biased(v, c); });
    }
  };
  if (how.bias == nullptr)
    store_all([](Floats v, std::size_t) { return v; });
  else
    store_all([&](Floats v, std::size_t c) { return v + load(how.bias + c); });
}

/// All of a product's sums, which lie in its y.
template <class Values>
void deliver_all(const PanelProduct& p, const Values& values) {
  deliver(p, {p.y, Panel::kColumns, 0, p.rows, 0, Panel::kColumns / Panel::kStrip}, values);
}

}  // namespace mmbatch::MMBATCH_ISA
