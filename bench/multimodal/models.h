#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/multimodal/random_source.h"

namespace mmbatch::bench {

/// A published vision-language model, with as many of its layers as are measured.
struct MultimodalModel {
  std::string_view name;
  std::size_t layers, of_layers;              // of the decoder
  std::size_t tower_layers, of_tower_layers;  // of the tower
  std::map<std::string, std::string> (*files)(const MultimodalModel& model);
  std::vector<ShapedTensor> (*tensors)(const MultimodalModel& model);
};

/// qwen3-vl-2b, qwen2.5-vl-3b, gemma3-4b and smolvlm-256m with widths, heads and vocabularies as published;
/// qwen3.5-2b as its class, at the widths of a decoder of that size.
std::span<const MultimodalModel> multimodal_models();
bool is_multimodal_model(std::string_view name);
/// @throws UsageError that lists them
const MultimodalModel& find_multimodal_model(std::string_view name);

}  // namespace mmbatch::bench
