#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace mmbatch {

/// A file that an option of the command line names, whose text is the setting's value.
struct SettingFile {
  std::string setting;  // "response_format", "grammar"
  std::filesystem::path path;
};

using SettingFiles = std::vector<SettingFile>;

}  // namespace mmbatch
