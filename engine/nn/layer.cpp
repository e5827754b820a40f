#include "engine/nn/layer.h"

#include <initializer_list>

#include "engine/nn/calibration.h"

namespace mmbatch {
namespace {

constexpr Linear::Then kAdd{.activation = {}, .accumulate = true};

/// The same names, each changed.
template <class Change>
LayerNames changed(const LayerNames& names, const Change& change) {
  const SelfAttentionNames& attention = names.attention;
  const FeedForwardNames& feed_forward = names.feed_forward;
  return {.attention = {change(attention.query), change(attention.key), change(attention.value),
                        change(attention.output), change(attention.query_key_value)},
          .feed_forward = {change(feed_forward.gate), change(feed_forward.up), change(feed_forward.down)},
          .before_attention = change(names.before_attention),
          .after_attention = change(names.after_attention),
          .before_feed_forward = change(names.before_feed_forward),
          .after_feed_forward = change(names.after_feed_forward)};
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
      before_attention_(weights, names.before_attention, config.attention.hidden, config.norm),
      before_feed_forward_(weights, names.before_feed_forward, config.attention.hidden, config.norm),
      attention_(weights, config.attention, names.attention),
      feed_forward_(weights, config.feed_forward, names.feed_forward) {
  if (weights.hooks.calibration != nullptr) show_norms(weights, config, names);
  if (placement_ == NormPlacement::before) return;
  after_attention_ = Norm(weights, names.after_attention, config.attention.hidden, config.norm);
  after_feed_forward_ = Norm(weights, names.after_feed_forward, config.attention.hidden, config.norm);
}

void Layer::show_norms(const Weights& weights, const LayerConfig& config, const LayerNames& names) {
  const auto watch = [&](Norm& norm, const std::string& name, std::initializer_list<std::string> readers_of) {
    std::vector<TensorView> readers;
    for (const std::string& reader : readers_of) {
      if (!reader.empty()) readers.push_back(weights.source.tensor(reader + ".weight"));
    }
    norm.show_to(weights.hooks.calibration->add(name, config.norm, std::move(readers)));
  };
  const bool gated = config.feed_forward.kind == FeedForwardKind::gated;
  watch(before_attention_, names.before_attention,
        {names.attention.query, names.attention.key, names.attention.value, names.attention.query_key_value});
  watch(before_feed_forward_, names.before_feed_forward,
        {gated ? names.feed_forward.gate : "", names.feed_forward.up});
}

void Layer::forward(MatrixView<float> x, const AttentionInput& input, Scratch& scratch) const {
  const LayerInput to_attention{x, &before_attention_};
  if (placement_ == NormPlacement::before) {
    attention_.forward(to_attention, x, input, kAdd, scratch);
  } else {
    const MatrixView<float> projected = scratch.take(Scratch::projected, x.rows, x.cols);
    attention_.forward(to_attention, projected, input, {}, scratch);
    after_attention_.add_to(x, projected);
  }
  feed_forward(x, scratch);
}

void Layer::forward_last(MatrixView<const float> x, MatrixView<float> kept, const AttentionInput& input,
                         Scratch& scratch) const {
  attention_.store_keys({x, &before_attention_}, input, scratch);
  if (kept.rows == 0) return;
  const LayerInput to_attention{kept, &before_attention_};
  if (placement_ == NormPlacement::before) {
    attention_.attend_from(to_attention, kept, input, kAdd, scratch);
  } else {
    const MatrixView<float> projected = scratch.take(Scratch::projected, kept.rows, kept.cols);
    attention_.attend_from(to_attention, projected, input, {}, scratch);
    after_attention_.add_to(kept, projected);
  }
  feed_forward(kept, scratch);
}

void Layer::feed_forward(MatrixView<float> x, Scratch& scratch) const {
  const LayerInput input{x, &before_feed_forward_};
  if (placement_ == NormPlacement::before) return feed_forward_.forward(input, x, kAdd, scratch);
  const MatrixView<float> projected = scratch.take(Scratch::projected, x.rows, x.cols);
  feed_forward_.forward(input, projected, {}, scratch);
  after_feed_forward_.add_to(x, projected);
}

}  // namespace mmbatch
