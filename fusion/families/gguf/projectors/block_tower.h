#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fusion/families/gguf/projectors/projector_file.h"
#include "fusion/families/gguf/projectors/tower_file.h"

namespace mmbatch::gguf {

// What the files of towers share that take frames in pairs, and whose text models have positions of three
// axes: time, row, column.

/// What the tower's tensors begin with in Hugging Face's files.
constexpr std::string_view kQwenTower = "visual.";

enum class AxisOrder { split, interleaved };

/// How many frequencies of a head turn with each axis.
struct TextAxes {
  std::vector<std::int64_t> sections;
  AxisOrder order = AxisOrder::split;
};

/// [out, 3, side, side] of each frame become [out, 3, frames, side, side].
void put_frame_patches(TowerFile& file, Multimodal& model);

/// Query, key and value weights, which some files store apart, become one.
void put_joined_attention(TowerFile& file, Multimodal& model);

/// The text model's part of config.json, with positions of three axes.
/// @param otherwise where the file does not say
void describe_axes(Multimodal& model, const std::string& type, const TextAxes& otherwise);

}  // namespace mmbatch::gguf
