#pragma once

#include <filesystem>
#include <vector>

namespace mmbatch {

/// A folder that is filled in a folder of its own inside of it, `.mmbatch-unfinished`, out of which the files
/// are moved once all of them are there: until then nobody takes it for whole. What a process that was killed
/// left is found by that name and begun again. Without finish(), or where a file cannot be moved, all is as
/// it was before. Not thread-safe.
class NewFolder {
 public:
  /// Tells before much is computed whether one can be made there.
  /// @throws UsageError when something else is there already
  static void check(const std::filesystem::path& folder);

  /// @throws UsageError as check(), and while another process fills the folder; OutputError
  explicit NewFolder(const std::filesystem::path& folder);
  ~NewFolder();
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  /// Where files are to be written.
  const std::filesystem::path& inside() const { return inside_; }
  /// Moves the files to where they belong, this one last: without it the others are nothing.
  /// @throws OutputError
  void finish(const std::filesystem::path& last);

 private:
  NewFolder(std::filesystem::path folder, std::filesystem::path inside);
  void lock();

  std::filesystem::path folder_, inside_;
  std::vector<std::filesystem::path> moved_;  // while others are not
  int descriptor_ = -1;                       // of `inside_`, locked; below 0: another's, or nobody's
  bool was_there_ = false;
};

}  // namespace mmbatch
