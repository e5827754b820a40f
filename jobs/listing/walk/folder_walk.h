#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mmbatch {

/// The files below a folder that match a pattern, whose parts between slashes are those of fnmatch(3), or
/// `**` for any number of folders, none included. Folder by folder, each in the order of its names' bytes:
/// memory holds the names of the folders on the way, not those of the tree. Links to folders are not
/// followed, names that begin with a dot match only patterns that say so. Not thread-safe.
class FolderWalk {
 public:
  FolderWalk(const std::filesystem::path& folder, const std::string& pattern);

  struct Found {
    std::string name;     // of the file, from the folder on
    std::string problem;  // or why there is none: a folder that cannot be read, or that lies too deep
  };
  std::optional<Found> next();

 private:
  struct Entry {
    std::string name;
    bool is_folder = false;
  };
  struct Level {
    std::string name;  // of the folder, from the first on, with a slash at its end
    std::vector<Entry> entries;
    std::size_t next = 0;
    std::vector<std::size_t> at;  // parts of the pattern that its entries may match
  };

  std::vector<std::size_t> with_none(std::vector<std::size_t> at) const;
  bool is_match(const Level& level, const std::string& file) const;
  std::vector<std::size_t> below(const Level& level, const std::string& folder) const;
  /// @return what is wrong with it; empty: nothing
  std::string enter(const std::string& name, std::vector<std::size_t> at);

  std::filesystem::path folder_;
  std::vector<std::string> parts_;
  std::vector<Level> levels_;
  std::string problem_;  // of the first folder
};

}  // namespace mmbatch
