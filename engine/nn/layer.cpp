#include "engine/nn/layer.h"

#include <algorithm>
#include <vector>

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"
#include "engine/nn/calibration.h"

namespace mmbatch {
namespace {

constexpr Linear::Then kAdd{.activation = {}, .accumulate = true};

/// The same names, each changed.
template <class Change>
struct ChangedRecurrent {
  const Change& change;

  RecurrentNames operator()(const std::monostate& none) const { return none; }
  RecurrentNames operator()(const GatedDeltaNetNames& names) const {
    return GatedDeltaNetNames{.qkv = change(names.qkv),
                              .gate = change(names.gate),
                              .beta = change(names.beta),
                              .alpha = change(names.alpha),
                              .convolution = change(names.convolution),
                              .norm = change(names.norm),
                              .output = change(names.output),
                              .decay = change(names.decay),
                              .decay_bias = change(names.decay_bias)};
  }
  RecurrentNames operator()(const ShortConvolutionNames& names) const {
    return ShortConvolutionNames{change(names.input), change(names.convolution), change(names.output)};
  }
};

template <class Change>
LayerNames changed(const LayerNames& names, const Change& change) {
  const SelfAttentionNames& attention = names.attention;
  const FeedForwardNames& feed_forward = names.feed_forward;
  return {.attention = {change(attention.query), change(attention.key), change(attention.value),
                        change(attention.output), change(attention.query_key_value),
                        change(attention.query_norm), change(attention.key_norm), change(attention.sinks)},
          .recurrent = std::visit(ChangedRecurrent<Change>{change}, names.recurrent),
          .feed_forward = {change(feed_forward.gate), change(feed_forward.up), change(feed_forward.down),
                           change(feed_forward.gate_up)},
          .before_attention = change(names.before_attention),
          .after_attention = change(names.after_attention),
          .before_feed_forward = change(names.before_feed_forward),
          .after_feed_forward = change(names.after_feed_forward),
          .experts = names.experts.changed(change),
          .experts_beside = {change(names.experts_beside.after_dense),
                             change(names.experts_beside.before_experts),
                             change(names.experts_beside.after_experts)},
          .per_layer_input = {change(names.per_layer_input.gate), change(names.per_layer_input.projection),
                              change(names.per_layer_input.norm)},
          .attention_scale = change(names.attention_scale),
          .feed_forward_scale = change(names.feed_forward_scale),
          .output_scale = change(names.output_scale),
          .cross_attention = {change(names.cross_attention.query), change(names.cross_attention.key),
                              change(names.cross_attention.value), change(names.cross_attention.output)},
          .before_cross_attention = change(names.before_cross_attention),
          .after_cross_attention = change(names.after_cross_attention)};
}

bool has_norm_before(NormPlacement placement) {
  return placement == NormPlacement::before || placement == NormPlacement::before_and_after;
}

/// Calls body with what a part of a layer is, whole or cut.
template <class... Kinds, class Body>
auto with(const std::variant<Kinds...>& part, const Body& body) {
  return std::visit(body, part);
}
auto with(const ExpertsBeside& part, const auto& body) {
  return body(part);
}

std::variant<FeedForwardPart, ExpertsPart, ExpertsBeside> feed_forward_of(const Weights& weights,
                                                                          const LayerConfig& config,
                                                                          const LayerNames& names) {
  if (config.experts && config.experts_place == ExpertsPlace::beside)
    return ExpertsBeside(weights, {config.feed_forward, *config.experts, config.norm},
                         {names.feed_forward, names.experts, names.experts_beside});
  if (config.experts) return load_mixture(weights, *config.experts, names.experts);
  return load_feed_forward(weights, config.feed_forward, names.feed_forward);
}

}  // namespace

LayerNames LayerNames::of(std::size_t layer) const {
  const std::string number = std::to_string(layer);
  return changed(*this, [&](std::string name) {
    static constexpr std::string_view kPlace = "{layer}";
    const std::size_t at = name.find(kPlace);
    return at == std::string::npos ? name : name.replace(at, kPlace.size(), number);
  });
}

LayerNames LayerNames::below(const std::string& prefix) const {
  return changed(*this, [&](const std::string& name) { return name.empty() ? name : prefix + name; });
}

Layer::Layer(const Weights& weights, const LayerConfig& config, const LayerNames& names)
    : placement_(config.placement),
      residual_scale_(config.residual_scale),
      feed_forward_(feed_forward_of(weights, config, names)) {
  if (config.recurrent)
    recurrent_ = load_recurrent(weights, *config.recurrent, names.recurrent);
  else
    attention_ = load_attention(weights, config, names.attention);
  const auto norm = [&](const std::string& name) {
    return Norm(weights, name, config.attention.hidden, config.norm);
  };
  if (has_norm_before(placement_)) {
    before_attention_ = norm(names.before_attention);
    before_feed_forward_ = norm(names.before_feed_forward);
    if (weights.hooks.calibration != nullptr) show_norms(weights, config, names);
  }
  after_attention_ = after_half(weights, config, names.after_attention, names.attention_scale);
  after_feed_forward_ = after_half(weights, config, names.after_feed_forward, names.feed_forward_scale);
  if (config.per_layer_input)
    per_layer_input_.emplace(weights, *config.per_layer_input, names.per_layer_input);
  if (!names.output_scale.empty())
    output_scale_ = to_floats(weights.parameter(names.output_scale, {1})).front();
  if (!config.cross_attention) return;
  Cross& cross = cross_.emplace(Cross{load_cross(weights, config, names.cross_attention), {}, {}});
  if (has_norm_before(placement_)) cross.before = norm(names.before_cross_attention);
  cross.after = after_half(weights, config, names.after_cross_attention, {});
}

Layer::AfterHalf Layer::after_half(const Weights& weights, const LayerConfig& config, const std::string& norm,
                                   const std::string& scale) const {
  AfterHalf after;
  const std::size_t hidden = config.attention.hidden;
  if (placement_ != NormPlacement::before) after.norm = Norm(weights, norm, hidden, config.norm);
  if (!scale.empty()) after.scale = to_floats(weights.tensor(scale, {hidden}));
  return after;
}

void Layer::show_norms(const Weights& weights, const LayerConfig& config, const LayerNames& names) {
  const auto watch = [&](Norm& norm, const std::string& name, NormReaders readers) {
    norm.show_to(weights.hooks.calibration->add(name, config.norm, std::move(readers)));
  };
  const auto readers_of = [&](WeightOrder order, const std::vector<std::string>& readers_names) {
    NormReaders readers;
    for (const std::string& reader : readers_names) {
      if (!reader.empty())
        readers.packed.push_back(in_order(weights.source.tensor(reader + ".weight"), order));
    }
    return readers;
  };
  const bool gated = config.feed_forward.kind == FeedForwardKind::gated;
  const bool instead = config.experts && config.experts_place == ExpertsPlace::instead;
  const SelfAttentionNames attention = names.attention.stored(config.attention);
  const auto& feed_forward = names.feed_forward;
  // What lies within bounds cannot be divided by factors.
  if (config.attention.bounds == Bounds::stored || config.feed_forward.bounds == Bounds::stored) return;
  watch(before_attention_, names.before_attention,
        config.recurrent ? readers_of(WeightOrder::out_in, readers_of_norm(names.recurrent))
                         : readers_of(config.attention.order, {attention.query, attention.key,
                                                               attention.value, attention.query_key_value}));
  watch(before_feed_forward_, names.before_feed_forward,
        instead ? MixtureOfExperts::readers(weights, *config.experts, names.experts)
                : readers_of(config.feed_forward.order,
                             {gated ? feed_forward.gate : "", feed_forward.up, feed_forward.gate_up}));
}

LayerInput Layer::input_of(MatrixView<const float> x, const Norm& before) const {
  return {x, has_norm_before(placement_) ? &before : nullptr};
}

template <class Half>
void Layer::add(MatrixView<float> x, const AfterHalf& after, Scratch& scratch, const Half& half) const {
  if (placement_ == NormPlacement::before && residual_scale_ == 1.0f && after.scale.empty())
    return half(x, kAdd);
  if (placement_ == NormPlacement::of_sum) {
    half(x, kAdd);
    return after.norm.forward(x, x);
  }
  const MatrixView<float> made = scratch.take(Scratch::projected, x.rows, x.cols);
  half(made, Linear::Then{});
  parallel_rows(x.rows, [&](std::size_t r) {
    float* row = made.row(r);
    if (placement_ != NormPlacement::before) after.norm.row(row, row);
    for (std::size_t i = 0; i < after.scale.size(); ++i) row[i] *= after.scale[i];
    if (residual_scale_ != 1.0f) {
      for (std::size_t i = 0; i < x.cols; ++i) row[i] *= residual_scale_;
    }
    simd().add(x.row(r), row, x.cols);
  });
}

void Layer::forward(MatrixView<float> x, const AttentionInput& input, Scratch& scratch) const {
  add(x, after_attention_, scratch, [&](MatrixView<float> y, const Linear::Then& then) {
    const LayerInput read = input_of(x, before_attention_);
    if (recurrent_)
      with(*recurrent_, [&](const auto& part) { part.forward(read, y, input.recurrent, then, scratch); });
    else
      with(*attention_, [&](const auto& part) { part.forward(read, y, input, then, scratch); });
  });
  if (scratch.on_part) scratch.on_part(Scratch::Part::attention, x);
  cross_attend(x, input, scratch);
  feed_forward(x, input.per_layer, scratch);
}

void Layer::cross_attend(MatrixView<float> x, const AttentionInput& input, Scratch& scratch) const {
  if (!cross_) return;
  add(x, cross_->after, scratch, [&](MatrixView<float> y, const Linear::Then& then) {
    const LayerInput read = input_of(x, cross_->before);
    with(cross_->attention, [&](const auto& part) { part.forward(read, y, input, then, scratch); });
  });
  if (scratch.on_part) scratch.on_part(Scratch::Part::cross_attention, x);
}

void Layer::store_encoded(MatrixView<const float> encoded, const LayerCache& cache,
                          std::span<const CachePlace> places, Scratch& scratch) const {
  if (!cross_ || encoded.rows == 0) return;
  with(cross_->attention, [&](const auto& part) { part.store(encoded, cache, places, scratch); });
}

void Layer::forward_last(MatrixView<const float> x, MatrixView<float> kept, const AttentionInput& input,
                         Scratch& scratch) const {
  if (recurrent_) return recurrent_last(x, kept, input, scratch);
  const LayerInput all = input_of(x, before_attention_);
  with(*attention_, [&](const auto& part) { part.store_keys(all, input, scratch); });
  if (kept.rows == 0) return;
  add(kept, after_attention_, scratch, [&](MatrixView<float> y, const Linear::Then& then) {
    const LayerInput read = input_of(kept, before_attention_);
    with(*attention_, [&](const auto& part) { part.attend_from(read, y, input, then, scratch); });
  });
  cross_attend(kept, input, scratch);
  feed_forward(kept, input.per_layer, scratch);
}

/// A state needs all rows; of what they become, some are added.
void Layer::recurrent_last(MatrixView<const float> x, MatrixView<float> kept, const AttentionInput& input,
                           Scratch& scratch) const {
  const MatrixView<float> all = scratch.take(Scratch::stream_copy, x.rows, x.cols);
  const LayerInput read = input_of(x, before_attention_);
  with(*recurrent_, [&](const auto& part) { part.forward(read, all, input.recurrent, {}, scratch); });
  if (kept.rows == 0) return;
  add(kept, after_attention_, scratch, [&](MatrixView<float> y, const Linear::Then& then) {
    parallel_rows(kept.rows, [&](std::size_t r) {
      const float* row = all.row(input.query_rows[r]);
      if (then.accumulate)
        simd().add(y.row(r), row, y.cols);
      else
        std::copy_n(row, y.cols, y.row(r));
    });
  });
  feed_forward(kept, input.per_layer, scratch);
}

void Layer::feed_forward(MatrixView<float> x, MatrixView<const float> per_layer, Scratch& scratch) const {
  add(x, after_feed_forward_, scratch, [&](MatrixView<float> y, const Linear::Then& then) {
    const LayerInput input = input_of(x, before_feed_forward_);
    std::visit(
        [&](const auto& part) { with(part, [&](const auto& one) { one.forward(input, y, then, scratch); }); },
        feed_forward_);
  });
  if (per_layer_input_) per_layer_input_->forward(per_layer, x, scratch);
  if (output_scale_ == 1.0f) return;
  parallel_rows(x.rows, [&](std::size_t r) {
    for (std::size_t i = 0; i < x.cols; ++i) x.row(r)[i] *= output_scale_;
  });
}

std::size_t Layer::bytes() const {
  const auto bytes = [](const auto& part) { return part.bytes(); };
  return (attention_ ? with(*attention_, bytes) : 0) + (recurrent_ ? with(*recurrent_, bytes) : 0) +
         (per_layer_input_ ? per_layer_input_->bytes() : 0) + (cross_ ? with(cross_->attention, bytes) : 0) +
         std::visit([&](const auto& part) { return with(part, bytes); }, feed_forward_);
}

}  // namespace mmbatch
