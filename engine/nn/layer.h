#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/nn/moe/experts_beside.h"
#include "engine/nn/norm.h"
#include "engine/nn/per_layer/per_layer_input.h"
#include "engine/nn/sliced/division.h"

namespace mmbatch {

/// Norms before each half of a layer, before and after it, after it, before it is added, or of the sum (as in
/// arXiv 1706.03762).
enum class NormPlacement { before, before_and_after, after, of_sum };

/// Where a layer's experts are: in place of its feed-forward, or beside it.
enum class ExpertsPlace { instead, beside };

/// One layer of a transformer as data. Layers of one model need not be alike.
struct LayerConfig {
  SelfAttentionConfig attention;
  std::optional<RecurrentConfig> recurrent;  // mixes the tokens instead of attention, of which hidden counts
  FeedForwardConfig feed_forward;
  std::optional<MixtureOfExpertsConfig> experts = {};
  ExpertsPlace experts_place = ExpertsPlace::instead;
  NormConfig norm;
  NormPlacement placement = NormPlacement::before;
  float residual_scale = 1.0f;  // what each half makes is multiplied by it before it is added
  std::optional<PerLayerInputConfig> per_layer_input = {};   // behind both halves
  std::optional<CrossAttentionConfig> cross_attention = {};  // between the two halves
};

/// Names of a layer's stored parts, without ".weight"; of norms those that its placement has. In a pattern,
/// which stands for all layers of a stack, "{layer}" is the layer's number.
struct LayerNames {
  SelfAttentionNames attention;
  RecurrentNames recurrent = {};
  FeedForwardNames feed_forward;
  std::string before_attention, after_attention, before_feed_forward, after_feed_forward;
  MixtureOfExpertsNames experts = {};      // of layers that have them
  ExpertsBesideNames experts_beside = {};  // of layers that have them beside the feed-forward
  PerLayerInputNames per_layer_input = {};
  /// Whole names of factors, [hidden], of what each half makes, channel by channel (layer scale, arXiv
  /// 2103.17239); empty: none.
  std::string attention_scale = {}, feed_forward_scale = {};
  std::string output_scale = {};  // whole name of a number, [1], that the layer's result is multiplied by
  CrossAttentionNames cross_attention = {};  // of layers that have it, and its norms
  std::string before_cross_attention = {}, after_cross_attention = {};

  /// The names of one layer by this pattern.
  LayerNames of(std::size_t layer) const;
  /// The same pattern below a prefix such as "vision_tower.".
  LayerNames below(const std::string& prefix) const;
};

/// x = x + attention(norm(x)); x = x + feed_forward(norm(x)), or with norms elsewhere, and cross-attention
/// between the two. The layer of the vision encoder, the text encoder and the decoder alike.
class Layer {
 public:
  Layer(const Weights& weights, const LayerConfig& config, const LayerNames& names);

  /// @param x [rows, hidden], in place
  void forward(MatrixView<float> x, const AttentionInput& input, Scratch& scratch) const;
  /// A decoder's last layer: keys and values of all rows are kept in the cache, everything else is computed
  /// for the rows that somebody reads.
  /// @param x [rows, hidden]   @param kept [input.query_rows, hidden]: those rows of x, in place
  void forward_last(MatrixView<const float> x, MatrixView<float> kept, const AttentionInput& input,
                    Scratch& scratch) const;
  /// Cross-attention's keys and values of rows that an encoder made go to the cache.
  /// @param encoded [places, width of the encoder's rows]
  void store_encoded(MatrixView<const float> encoded, const LayerCache& cache,
                     std::span<const CachePlace> places, Scratch& scratch) const;
  std::size_t bytes() const;

 private:
  /// Tells the calibration which linear layers read which norm, and lets it see what the norms make.
  void show_norms(const Weights& weights, const LayerConfig& config, const LayerNames& names);
  void cross_attend(MatrixView<float> x, const AttentionInput& input, Scratch& scratch) const;
  /// The second half, and what is behind it.
  /// @param per_layer [rows, width], the rows' embeddings for this layer, where there are such
  void feed_forward(MatrixView<float> x, MatrixView<const float> per_layer, Scratch& scratch) const;
  void recurrent_last(MatrixView<const float> x, MatrixView<float> kept, const AttentionInput& input,
                      Scratch& scratch) const;
  /// What a half reads: rows, and the norm before it.
  LayerInput input_of(MatrixView<const float> x, const Norm& before) const;
  /// What is done to the result of a half before it is added.
  struct AfterHalf {
    Norm norm;                 // where norms come after halves
    std::vector<float> scale;  // [hidden]; empty: none
  };
  AfterHalf after_half(const Weights& weights, const LayerConfig& config, const std::string& norm,
                       const std::string& scale) const;
  /// Adds to x what a half makes, straight away or by way of what is done to it and residual_scale.
  /// @param half called with where its result goes, and how
  template <class Half>
  void add(MatrixView<float> x, const AfterHalf& after, Scratch& scratch, const Half& half) const;

  NormPlacement placement_;
  float residual_scale_;
  Norm before_attention_, before_feed_forward_;
  AfterHalf after_attention_, after_feed_forward_;
  std::optional<AttentionPart> attention_;
  std::optional<RecurrentPart> recurrent_;  // instead of it
  struct Cross {
    CrossPart attention;
    Norm before;
    AfterHalf after;
  };
  std::optional<Cross> cross_;
  std::variant<FeedForwardPart, ExpertsPart, ExpertsBeside> feed_forward_;
  std::optional<PerLayerInput> per_layer_input_;
  float output_scale_ = 1.0f;
};

}  // namespace mmbatch
