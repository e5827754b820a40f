#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "engine/base/config.h"
#include "engine/weights/quantized/stored_parts.h"

namespace mmbatch {

/// What a config.json says about how its weights were quantized: its quantization_config, wherever it is, or
/// the quantize_config.json of older folders; an empty object where nothing is said.
Config find_quantization(const Config& config, const Config& quantize_config);

/// @throws ModelError for a method that is not supported, by its name
void check_quantization_method(const Config& quantization);

/// Puts "X.weight", whose rows are dequantized when they are read, in place of the stored parts of every
/// quantized module X. Modules that are stored plain stay as they are, whatever the config lists.
/// @throws ModelError naming key or tensor
void present_quantized(const Config& quantization, quantized::StoredParts& parts);

}  // namespace mmbatch
