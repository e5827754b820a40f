#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/config.h"
#include "engine/base/model_place.h"
#include "engine/weights/safetensors.h"
#include "engine/weights/tensor.h"
#include "engine/weights/weight_source.h"

namespace mmbatch {

/// A model's tensors by name.
using TensorMap = std::map<std::string, TensorView>;

/// Puts what an adapter adds, or replaces, to a model's tensors.
/// @return the adapter's file, which tensors that it replaces point into
/// @throws ModelError for a folder that is not an adapter, and for a target that the model does not have
std::unique_ptr<const SafetensorsFile> add_adapter(const AdapterPlace& adapter, TensorMap& tensors);

/// The same of files that were read already.  @param scale how much of it
void add_adapter(const Config& config, const SafetensorsFile& file, double scale, TensorMap& tensors);

/// Messages about keys of its config that nobody knows.  @throws ModelError
std::vector<std::string> unknown_keys(const AdapterPlace& place);

}  // namespace mmbatch
