#pragma once

#include <filesystem>

namespace mmbatch {

/// A folder that is filled in a folder of its own inside of it, `.mmbatch-unfinished`, out of which the files
/// are moved once all of them are there: until then nobody takes it for whole. What a process that was killed
/// left is found by that name and begun again. Without finish(), all is as it was before. Not thread-safe.
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
  void lock();

  std::filesystem::path folder_, inside_;
  int descriptor_ = -1;  // of `inside_`, locked
  bool was_there_ = false;
};

}  // namespace mmbatch
