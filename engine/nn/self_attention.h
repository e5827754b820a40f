#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "engine/kernels/attention.h"
#include "engine/kernels/rope.h"
#include "engine/nn/linear.h"
#include "engine/nn/recurrent/recurrent_input.h"
#include "engine/nn/scratch.h"

namespace mmbatch {

/// A norm of queries and one of keys, between their projections and the rotary embedding (arXiv 2010.04245).
struct QueryKeyNorm {
  enum class Span {
    head,       // of each head for itself; the weights, [head_dim], are those of all heads
    all_heads,  // of a row's heads together: [heads · head_dim] and [kv_heads · head_dim]
  };
  NormConfig norm;
  Span span = Span::head;
};

/// What an attention's result is multiplied by before the output projection.
enum class OutputGate {
  none,
  sigmoid,  // of what the query projection has behind each head's query: rows of [query | gate] per head
};

struct SelfAttentionConfig {
  std::size_t hidden = 0;
  AttentionShape shape;
  Bias bias = Bias::absent;         // of the query, key and value projections
  Bias output_bias = Bias::absent;  // of the output projection
  WeightOrder order = WeightOrder::out_in;
  std::optional<QueryKeyNorm> query_key_norm;
  OutputGate gate = OutputGate::none;
  std::optional<RopeConfig> rope;  // none: queries and keys know no positions
};

/// Names of the stored parts, without ".weight"; norms and sinks only where there are such.
/// `sinks` is a full name.
struct SelfAttentionNames {
  std::string query, key, value, output;
  std::string query_key_value = {};  // instead of the three where they are stored as one
  std::string query_norm = {}, key_norm = {};
  std::string sinks = {};  // [heads]
};

/// Where a token's keys and values go: into which block, and which of its tokens it is.
struct CachePlace {
  std::int32_t block = 0;
  std::size_t token = 0;
};

/// Where one layer's keys and values are kept between steps; strides in bytes.
struct LayerCache {
  std::byte* keys = nullptr;
  std::byte* values = nullptr;
  std::size_t head_stride = 0;   // from one kv head to the next
  std::size_t block_stride = 0;  // from one block to the next
  RowLayout layout;

  /// @param keys_values [2 · kv_heads, head_dim]: the keys of all heads, then their values
  void store(const float* keys_values, std::size_t kv_heads, std::size_t head_dim, CachePlace place) const;
  /// Lets a span, which has its blocks, read this cache.
  void fill(AttentionSpan& span) const;
};

/// The rows of one pass: which sequences they belong to and where their keys and values go.
struct AttentionInput {
  /// Without a cache the rows' own keys and values are attended to. Of `rows`, blocks and block_tokens are
  /// read, with a cache; the rest is filled in here.
  std::span<const AttentionSpan> spans;
  const RopeAngles* rope = nullptr;    // of all rows; null: no rotary embedding
  const LayerCache* cache = nullptr;   // null: nothing is kept
  std::span<const CachePlace> places;  // with a cache: each row's
  /// Rows that queries are wanted of, where not of all; `spans` are theirs then.
  std::span<const std::size_t> query_rows;
  /// A recurrent layer reads these instead of all the rest.
  std::span<const RecurrentSpan> recurrent = {};
  /// Of a layer with cross-attention: the same rows as in `spans`, and what they attend to. With a cache, it
  /// lies there as the rows' own keys and values do.
  std::span<const AttentionSpan> cross = {};
  AttentionKernel kernel = AttentionKernel::flash;
};

/// Multi-head, grouped-query or multi-query self-attention (arXiv 1706.03762, 2305.13245, 1911.02150).
class SelfAttention {
 public:
  SelfAttention() = default;
  SelfAttention(const Weights& weights, const SelfAttentionConfig& config, const SelfAttentionNames& names);

  /// @param y [rows, hidden], stored or added to as `then` says; may be what is read
  void forward(const LayerInput& x, MatrixView<float> y, const AttentionInput& input,
               const Linear::Then& then, Scratch& scratch) const;
  /// The same in two parts, where some rows' queries are not wanted: first the keys and values of all rows
  /// go to the cache, then the rows in input.query_rows attend.
  /// @param x [rows, hidden]
  void store_keys(const LayerInput& x, const AttentionInput& input, Scratch& scratch) const;
  /// @param x [query rows, hidden]   @param y the same, as in forward()
  void attend_from(const LayerInput& x, MatrixView<float> y, const AttentionInput& input,
                   const Linear::Then& then, Scratch& scratch) const;
  std::size_t bytes() const { return qkv_.bytes() + output_.bytes(); }

 private:
  std::size_t query_width() const { return config_.shape.heads * config_.shape.head_dim; }
  /// Columns of the query projection.
  std::size_t projected_width() const { return query_width() * (config_.gate == OutputGate::none ? 1 : 2); }
  std::size_t key_width() const { return config_.shape.kv_heads * config_.shape.head_dim; }
  /// What is done to queries or keys before they are used: norm and rotary embedding.
  /// @param heads [count, head_dim] of row `row` of the pass, in place
  void prepare(const Norm& norm, float* heads, std::size_t count, const AttentionInput& input,
               std::size_t row) const;
  /// Multiplies a row's query by what its position asks for.  @param query [heads · head_dim], in place
  void scale_query(float* query, const AttentionInput& input, std::size_t row) const;
  /// Where gates are to be kept while queries attend: nothing without gates.
  MatrixView<float> take_gates(std::size_t rows, Scratch& scratch) const;
  /// Moves the queries of a projected row together, and the gates between them to their own row.
  void part_gates(float* queries, MatrixView<float> gates, std::size_t row) const;
  void multiply_by(MatrixView<float> gates, MatrixView<float> attended) const;
  /// @param keys_values [2 · kv_heads, head_dim] of row `row` of the pass
  void store(const float* keys_values, const AttentionInput& input, std::size_t row) const;
  /// The shape of attention, with the sinks.
  AttentionShape shape() const;
  void attend_cached(MatrixView<const float> queries, MatrixView<float> attended,
                     const AttentionInput& input) const;

  SelfAttentionConfig config_;
  Linear qkv_;
  Linear query_, key_value_;  // parts of it; where it is stored as one, all of it
  Linear output_;
  Norm query_norm_, key_norm_;  // with query_key_norm
  std::vector<float> sinks_;    // [heads], or empty
};

}  // namespace mmbatch
