#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/nn/weights.h"
#include "engine/parallel/shared_work.h"
#include "fusion/model_spec.h"

namespace mmbatch {

/// The layers of one of a model's encoders, as slices see them.
struct EncoderLayers {
  std::string name;                           // for people
  const LayerConfig* layer = nullptr;         // all are alike; null: a tower in stages
  std::size_t layers = 0;                     // that are computed
  LayerNames names = {};                      // pattern of the tensors' names
  bool partly = true;                         // one half of the layers may be divided without the other
  const StagedTowerConfig* stages = nullptr;  // of a tower in stages
};
std::vector<EncoderLayers> encoders_of(const ModelSpec& spec);
/// Whether so many slices divide an encoder, at least in part; else rank 0 has it alone.
bool slices_divide(const EncoderLayers& encoder, std::size_t slices);

/// What a process that does not lead has of a model's encoders: its part of their layers. Embeddings,
/// projectors and heads of encoders are rank 0's.
/// @param weights with slices  @throws ModelError
std::vector<std::shared_ptr<const SharedWork>> encoder_parts(const Weights& weights, const ModelSpec& spec);

/// Whether slices divide an encoder of the model, at least in part.
bool slices_divide_encoders(const ModelSpec& spec, std::size_t slices);

/// What of a model so many slices do not divide, and why: a message for people each.
std::vector<std::string> kept_whole(const ModelSpec& spec, std::size_t slices);

}  // namespace mmbatch
