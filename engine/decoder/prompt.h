#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/matrix.h"

namespace mmbatch {

/// Rows that stand in the place of placeholder tokens: the projected features of one image, shared by all
/// prompts about it.
struct FeatureSpan {
  std::size_t begin = 0;                      // position of the first row
  std::shared_ptr<const Matrix<float>> rows;  // [tokens, hidden]
  std::uint64_t key = 0;                      // of the image's content: equal keys, equal rows
};

/// What the engine gets for one item: the border between fusion and engine. Token rows are looked up when
/// they are computed, so a prompt holds no copy of them.
struct Prompt {
  std::vector<std::int32_t> ids;      // one a position; placeholders where features stand
  std::vector<FeatureSpan> features;  // in order of position, not overlapping
  std::size_t bidirectional_end = 0;  // positions before it see each other; 0 = causal

  std::size_t tokens() const { return ids.size(); }
};

/// The row that stands at a position: a feature row, or null where the token's embedding is meant.
const float* feature_row(const Prompt& prompt, std::size_t position);

/// What stands at each position, as numbers: equal prefixes of keys, equal prefixes of content.
std::vector<std::uint64_t> content_keys(const Prompt& prompt);

}  // namespace mmbatch
