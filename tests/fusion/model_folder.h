#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/base/error.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch::testing {

inline const std::filesystem::path kReference = std::filesystem::path(MMBATCH_TEST_DATA) / "reference";

/// A copy of a reference folder's model, to be changed. Weights are linked, not copied.
class ModelFolder {
 public:
  explicit ModelFolder(const std::string& reference) {
    for (const auto& entry : std::filesystem::directory_iterator(kReference / reference / "model")) {
      const auto target = folder_.path() / entry.path().filename();
      if (entry.path().extension() == ".safetensors")
        std::filesystem::create_symlink(entry.path(), target);
      else
        std::filesystem::copy_file(entry.path(), target);
      std::filesystem::permissions(
          target, std::filesystem::perms::owner_write,
          std::filesystem::perm_options::add | std::filesystem::perm_options::nofollow, ignored_);
    }
  }

  const std::filesystem::path& path() const { return folder_.path(); }

  /// Changes a JSON file of the folder.
  void edit(const std::string& file, const std::function<void(nlohmann::json&)>& change) const {
    auto json = nlohmann::json::parse(read_file(path() / file));
    change(json);
    write_file(path() / file, json.dump());
  }
  void edit_config(const std::function<void(nlohmann::json&)>& change) const { edit("config.json", change); }

  /// Changes the header of a weight file: what it says of each tensor, by name.
  void edit_tensors(const std::string& file, const std::function<void(nlohmann::json&)>& change) const {
    const std::string bytes = read_file(path() / file);
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof(length));
    auto header = nlohmann::json::parse(bytes.substr(8, length));
    change(header);
    std::filesystem::remove(path() / file);
    write_file(path() / file, safetensors_bytes(header.dump(), bytes.substr(8 + length)));
  }

 private:
  TemporaryFolder folder_;
  std::error_code ignored_;
};

}  // namespace mmbatch::testing
