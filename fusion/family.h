#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/config.h"
#include "engine/weights/weight_source.h"
#include "fusion/model_spec.h"

namespace mmbatch {

/// A kind of model: which config.json files are its own, and how one becomes a ModelSpec. One file in
/// fusion/families/, one line in the table of family.cpp.
struct Family {
  std::string_view name;
  std::vector<std::string_view> architectures;  // of config.json's "architectures"
  std::vector<std::string_view> model_types;    // of "model_type", where architectures is absent
  /// @throws ModelError that names the key and what is supported
  ModelSpec (*parse)(const Config& config, const WeightSource& weights);
};

std::span<const Family> families();

/// @throws ModelError for weights that were quantized by another program
void check_quantization(const Config& config);

/// Whether the image processor of a preprocessor_config.json means by `do_pad` that a picture is padded to a
/// square, in the colour of image_mean, before it is resized.
bool pads_to_square(const Config& preprocessor);

/// Messages about keys of a config.json that are not known, each naming file and key.
/// @throws ModelError for a key that changes results and is not supported
std::vector<std::string> check_config_keys(const Config& config);

/// The family of a config.json.  @throws ModelError that lists the supported ones
const Family& find_family(const Config& config);

}  // namespace mmbatch
