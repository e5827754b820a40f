#pragma once

#include <filesystem>

namespace mmbatch::bench {

/// A folder of one workload's own below the scratch folder, removed with it.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::filesystem::path& scratch);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace mmbatch::bench
