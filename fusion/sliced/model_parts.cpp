#include "fusion/sliced/model_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "vision/tower/staged/staged_tower.h"

namespace mmbatch {
namespace {

std::vector<const EncoderStackConfig*> query_encoders(const ProjectorConfig& projector) {
  std::vector<const EncoderStackConfig*> stacks;
  for (const ProjectorOp& op : projector.ops) {
    if (const auto* queries = std::get_if<QueryEncoderOp>(&op)) stacks.push_back(&queries->layers);
  }
  return stacks;
}

std::string text_of(const std::vector<WholePart>& parts) {
  std::string text;
  for (const WholePart& part : parts)
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", part.part, part.why);
  return text;
}

EncoderLayers layers_of(const char* name, const EncoderStackConfig& stack) {
  return {.name = name, .layer = &stack.layer, .layers = stack.layers, .names = stack.names};
}

}  // namespace

std::vector<EncoderLayers> encoders_of(const ModelSpec& spec) {
  std::vector<EncoderLayers> all;
  if (spec.vision) {
    const VisionConfig& tower = spec.vision->encoder;
    if (tower.staged)
      all.push_back({.name = "the vision tower", .partly = false, .stages = &*tower.staged});
    else
      all.push_back({.name = "the vision tower",
                     .layer = &tower.layer,
                     .layers = tower.run_layers,
                     .names = tower.layer_names.below(spec.vision->prefix),
                     .partly = !tower.relative});
    for (const ProjectorConfig* projector : {&spec.vision->neck, &spec.vision->projector})
      for (const EncoderStackConfig* stack : query_encoders(*projector))
        all.push_back(layers_of("the encoder behind the vision tower", *stack));
  }
  if (spec.encoder) all.push_back(layers_of("the prompt's encoder", spec.encoder->stack));
  if (spec.dual) {
    const TextEncoderConfig& text = spec.dual->text;
    all.push_back({.name = "the text encoder",
                   .layer = &text.layer,
                   .layers = text.layers,
                   .names = text.layer_names.below(spec.dual->text_prefix)});
  }
  return all;
}

bool slices_divide(const EncoderLayers& encoder, std::size_t slices) {
  if (encoder.stages != nullptr) return encoder.stages->some_divided(slices);
  return encoder.partly ? slices_divide(*encoder.layer, slices) : whole_parts(*encoder.layer, slices).empty();
}

std::vector<std::shared_ptr<const SharedWork>> encoder_parts(const Weights& weights, const ModelSpec& spec) {
  std::vector<std::shared_ptr<const SharedWork>> parts;
  const auto add = [&](std::shared_ptr<const SharedWork> part) {
    if (part) parts.push_back(std::move(part));
  };
  if (spec.vision) {
    const auto part = spec.vision->encoder.staged ? StagedTower::part : VisionEncoder::part;
    add(part(weights, spec.vision->encoder, spec.vision->prefix));
    for (const EncoderStackConfig* stack : query_encoders(spec.vision->neck))
      add(EncoderStack::part(weights, *stack));
    for (const EncoderStackConfig* stack : query_encoders(spec.vision->projector))
      add(EncoderStack::part(weights.in(edge_precision(weights.precision)), *stack));
  }
  if (spec.encoder) add(EncoderStack::part(weights, spec.encoder->stack));
  if (spec.dual) add(TextEncoder::part(weights, spec.dual->text, spec.dual->text_prefix));
  return parts;
}

bool slices_divide_encoders(const ModelSpec& spec, std::size_t slices) {
  const std::vector<EncoderLayers> encoders = encoders_of(spec);
  return std::any_of(encoders.begin(), encoders.end(),
                     [&](const EncoderLayers& encoder) { return slices_divide(encoder, slices); });
}

std::vector<std::string> kept_whole(const ModelSpec& spec, std::size_t slices) {
  std::vector<std::string> messages;
  for (const EncoderLayers& encoder : encoders_of(spec)) {
    if (encoder.stages != nullptr) {
      const char* const who = encoder.stages->some_divided(slices)
                                  ? "is divided but for a part that every process computes whole"
                                  : "is computed by one process alone";
      if (!encoder.stages->all_divided(slices))
        messages.push_back(
            fmt::format("{} {}: heads, groups of channels or columns of some stages cannot be "
                        "divided into {} slices",
                        encoder.name, who, slices));
      continue;
    }
    const std::vector<WholePart> parts = whole_parts(*encoder.layer, slices);
    if (!slices_divide(encoder, slices))
      messages.push_back(
          fmt::format("{} is computed by one process alone: {}", encoder.name, text_of(parts)));
    else if (!parts.empty())
      messages.push_back(fmt::format("{} is divided but for a part that every process computes whole: {}",
                                     encoder.name, text_of(parts)));
  }
  std::map<std::pair<std::string, std::string>, std::size_t> layers;
  for (const LayerConfig& layer : spec.decoder.layers)
    for (const WholePart& part : whole_parts(layer, slices)) ++layers[{part.part, part.why}];
  for (const auto& [part, count] : layers) {
    messages.push_back(
        fmt::format("{} of the decoder's {} layers have a part that every process computes "
                    "whole: {}: {}",
                    count, spec.decoder.layers.size(), part.first, part.second));
  }
  return messages;
}

}  // namespace mmbatch
