#pragma once

#include <filesystem>
#include <string_view>

#include "jobs/manifest/manifest.h"

namespace mmbatch {

/// Reads the YAML text of the manifest `file`.  @throws UsageError
Manifest read_yaml_manifest(std::string_view text, const std::filesystem::path& file);

}  // namespace mmbatch
