#pragma once

#include <filesystem>
#include <string>

#include "engine/base/model_place.h"
#include "jobs/text/node.h"

namespace mmbatch {

/// "DIR" or "DIR:SCALE"; a folder whose whole name is that comes first.  @param folder of relative paths
AdapterPlace read_adapter(const std::string& text, const std::filesystem::path& folder);

/// A manifest's keys `mmproj` (a file, or none) and `lora` (one adapter or a list of them; each a path, with
/// ":SCALE" or as {path, scale}).  @throws PlacedError
ModelParts read_model_parts(const Node& manifest, const std::filesystem::path& folder);

}  // namespace mmbatch
