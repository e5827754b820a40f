#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "engine/nn/cross_attention.h"
#include "engine/nn/feed_forward.h"
#include "engine/nn/grid/channel_attention.h"
#include "engine/nn/moe/expert_group.h"
#include "engine/nn/recurrent/recurrent_mixer.h"
#include "engine/nn/self_attention.h"
#include "engine/weights/derived.h"
#include "engine/weights/weight_source.h"

namespace mmbatch {

/// One of `count` slices.
struct SliceOf {
  std::size_t index = 0;
  std::size_t count = 1;
};

/// The tensors of one slice of a layer, under the names of the whole ones: the rows or columns that belong to
/// its heads and its part of the feed-forward. They are read where they lie.
class SlicedWeights final : public WeightSource {
 public:
  explicit SlicedWeights(const WeightSource& whole) : WeightSource(whole.path()), whole_(whole) {}

  bool has_file(const std::string& name) const override { return whole_.has_file(name); }
  std::optional<std::string> read_file(const std::string& name, std::size_t max_bytes) const override {
    return whole_.read_file(name, max_bytes);
  }
  std::vector<std::string> list_files(const std::string& folder) const override {
    return whole_.list_files(folder);
  }

  void add_attention(const SelfAttentionConfig& config, const SelfAttentionNames& names, SliceOf slice);
  void add_feed_forward(const FeedForwardConfig& config, const FeedForwardNames& names, SliceOf slice);
  /// A slice has some of the experts, whole, and its columns of the shared one.
  void add_experts(const MixtureOfExpertsConfig& config, const MixtureOfExpertsNames& names, SliceOf slice);
  void add_recurrent(const RecurrentConfig& config, const RecurrentNames& names, SliceOf slice);
  void add_cross_attention(const CrossAttentionConfig& config, const CrossAttentionNames& names,
                           SliceOf slice);
  /// @param prefix of its tensors' names
  void add_channel_attention(const ChannelAttentionConfig& config, const std::string& prefix, SliceOf slice);
  /// A parameter that all slices have, if it is there.
  void add_whole(const std::string& name);
  /// Memory of the files that was read for them is given back.
  void release() const;

  std::string fingerprint(FingerprintScope scope) const override { return whole_.fingerprint(scope); }
  std::vector<WeightFile> files() const override { return whole_.files(); }

 private:
  Config read_config() const override { return whole_.config(); }
  void add_view(const TensorView& whole, const TensorView& slice);
  /// The outputs of a layer that this slice makes, and their biases.
  void add_outputs(const StoredLinear& layer, const std::vector<ColumnRange>& outputs, Bias bias);
  /// What the layer makes of the inputs that this slice has. Its bias is added once, by the first slice.
  void add_inputs(const StoredLinear& layer, const std::vector<ColumnRange>& inputs, Bias bias,
                  SliceOf slice);
  void add_delta_net(const GatedDeltaNetConfig& config, const GatedDeltaNetNames& names, SliceOf slice);
  void add_convolution(const ShortConvolutionConfig& config, const ShortConvolutionNames& names,
                       SliceOf slice);
  void add_rows(const std::string& name, const std::vector<ColumnRange>& rows);

  const WeightSource& whole_;
  std::vector<TensorView> used_;
};

/// What of a part of a layer one slice computes.
SelfAttentionConfig slice_of(SelfAttentionConfig config, SliceOf slice);
FeedForwardConfig slice_of(FeedForwardConfig config, SliceOf slice);
MixtureOfExpertsConfig slice_of(MixtureOfExpertsConfig config, SliceOf slice);
RecurrentConfig slice_of(RecurrentConfig config, SliceOf slice);
CrossAttentionConfig slice_of(CrossAttentionConfig config, SliceOf slice);
ChannelAttentionConfig slice_of(ChannelAttentionConfig config, SliceOf slice);

/// The heads of keys and values that a slice's queries look at: its own, or one that it has in common with
/// other slices.
ColumnRange kv_part(std::size_t kv_heads, SliceOf slice);

}  // namespace mmbatch
