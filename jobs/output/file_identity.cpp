#include "jobs/output/file_identity.h"

#include <sys/stat.h>

namespace mmbatch {
namespace fs = std::filesystem;

fs::path link_target(const fs::path& file) {
  constexpr int kMostLinks = 40;  // as Linux
  fs::path place = file;
  std::error_code failed;
  for (int links = 0; links < kMostLinks && fs::is_symlink(place, failed); ++links) {
    const fs::path target = fs::read_symlink(place, failed);
    if (failed) break;
    place = place.parent_path() / target;  // an absolute one is the target itself
  }
  return place;
}

std::optional<FileIdentity> identity_of(const fs::path& file) {
  struct stat status {};
  if (file.empty()) return std::nullopt;
  if (::stat(file.c_str(), &status) == 0) {
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) return std::nullopt;
    return FileIdentity{status.st_dev, status.st_ino, {}};
  }
  const fs::path place = fs::absolute(link_target(file));
  if (::stat(place.parent_path().c_str(), &status) == 0)
    return FileIdentity{status.st_dev, status.st_ino, place.filename().string()};
  std::error_code failed;
  return FileIdentity{0, 0, fs::weakly_canonical(place, failed).string()};
}

}  // namespace mmbatch
