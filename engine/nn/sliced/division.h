#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "engine/nn/sliced/sliced_cross.h"
#include "engine/nn/sliced/sliced_experts.h"
#include "engine/nn/sliced/sliced_layer.h"
#include "engine/nn/sliced/sliced_recurrent.h"

namespace mmbatch {

struct LayerConfig;

// The parts of a layer, whole or cut. What slices do not divide is whole in every process, which computes all
// of it; whole_parts() says so.
using AttentionPart = std::variant<SelfAttention, SlicedAttention>;
using RecurrentPart = std::variant<RecurrentMixer, SlicedRecurrent>;
using FeedForwardPart = std::variant<FeedForward, SlicedFeedForward>;
using ExpertsPart = std::variant<MixtureOfExperts, SlicedExperts>;
using CrossPart = std::variant<CrossLayer, SlicedCross>;

/// Cut where weights.slices is there and divides it.  @throws ModelError
AttentionPart load_attention(const Weights& weights, const LayerConfig& layer,
                             const SelfAttentionNames& names);
RecurrentPart load_recurrent(const Weights& weights, const RecurrentConfig& config,
                             const RecurrentNames& names);
FeedForwardPart load_feed_forward(const Weights& weights, const FeedForwardConfig& config,
                                  const FeedForwardNames& names);
ExpertsPart load_mixture(const Weights& weights, const MixtureOfExpertsConfig& config,
                         const MixtureOfExpertsNames& names);
CrossPart load_cross(const Weights& weights, const LayerConfig& layer, const CrossAttentionNames& names);

/// A part of a layer that so many slices do not divide, and why, for people.
struct WholePart {
  std::string part, why;
  bool operator==(const WholePart&) const = default;
};
std::vector<WholePart> whole_parts(const LayerConfig& layer, std::size_t slices);

/// The parts of a layer that slices divide, of those that it has.
struct DividedParts {
  bool attention = false;  // and cross-attention, where there is one
  bool recurrent = false, feed_forward = false, experts = false;
};
DividedParts divided_parts(const LayerConfig& layer, std::size_t slices);
/// Whether so many slices divide a layer's attention, and with it the keys and values that are kept of it.
bool slices_divide_attention(const LayerConfig& layer, std::size_t slices);

/// What caches and states of this process hold of a layer: heads of keys and values, and the recurrent part,
/// become its own.
void keep_own(LayerConfig& layer, const Slices& slices);

}  // namespace mmbatch
