#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/matrix.h"
#include "engine/decoder/prefix_key.h"
#include "engine/kernels/attention.h"
#include "engine/kernels/rope.h"

namespace mmbatch {

/// Rows that take the place of placeholder tokens: the projected features of one image, shared by all
/// prompts about it. An image whose rows have other tokens between them has several spans.
struct FeatureSpan {
  std::size_t begin = 0;  // index of the first row's token
  /// [rows of the image, hidden], or wider by as much for each layer that something is added behind
  /// (DeepStack).
  std::shared_ptr<const Matrix<float>> rows;
  PrefixKey key = {};            // of the image: equal keys, equal rows
  std::size_t first = 0;         // of the image's rows, the one at `begin`
  std::size_t count = SIZE_MAX;  // of its rows that are here; SIZE_MAX: all from `first` on

  std::size_t tokens() const { return std::min(count, rows->rows() - first); }
};

/// What the engine gets for one item: the border between fusion and engine. Token rows are looked up when
/// they are computed, so a prompt holds no copy of them.
struct Prompt {
  /// The id of a feature row of a model whose vocabulary has no placeholder.
  static constexpr std::int32_t kNoToken = -1;

  std::vector<std::int32_t> ids;      // placeholders where features go
  std::vector<FeatureSpan> features;  // in order, not overlapping
  /// What rotary embeddings turn each token by; empty: its index.
  std::vector<RopePosition> positions;
  std::size_t next_position = 0;  // with positions: that of the first token behind the prompt, in all axes
  /// Tokens that see each other, by index: ascending, not overlapping. Otherwise a token sees those before
  /// it.
  std::vector<PositionRange> bidirectional;
  /// So many first positions are rows that an encoder made, all of them feature rows: cross-attention reads
  /// them, and nothing else. The decoder's own tokens, and their positions, begin behind them.
  std::size_t encoded = 0;

  /// What the decoder has read itself.
  std::span<const std::int32_t> decoder_ids() const { return std::span(ids).subspan(encoded); }
  std::size_t tokens() const { return ids.size(); }
};

/// What is wrong with a prompt that somebody made by hand: positions of another number than ids, features or
/// ranges that overlap or end behind it.  @throws ItemError invalid_value
void check(const Prompt& prompt);

/// Whether what is computed of a prompt's first tokens depends on them alone, or on the rest of an image that
/// they are a part of, which its key identifies: then prompts that begin alike may share it.
bool has_shareable_prefixes(const Prompt& prompt);

/// The row that takes a token's place: a feature row, or null where the token's embedding is meant.
const float* feature_row(const Prompt& prompt, std::size_t index);

/// What rotary embeddings turn a token by, of the prompt or behind it.
RopePosition rope_position(const Prompt& prompt, std::size_t index);

/// What is in each place: equal prefixes of keys, equal prefixes of content and positions.
std::vector<PrefixKey> content_keys(const Prompt& prompt);

/// The prompt with tokens behind it, each where it stands when they are an answer to the prompt.
Prompt continued(const Prompt& prompt, std::span<const std::int32_t> tokens);

/// The last `keep` tokens of a prompt without features.
Prompt cut_left(const Prompt& prompt, std::size_t keep);

}  // namespace mmbatch
