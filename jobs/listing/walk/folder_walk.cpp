#include "jobs/listing/walk/folder_walk.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace mmbatch {
namespace {

constexpr std::size_t kMostLevels = 64;

bool is_any(const std::string& part) {
  return part == "**";
}

bool fits(const std::string& part, const std::string& name) {
  return ::fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) == 0;
}

}  // namespace

FolderWalk::FolderWalk(const std::filesystem::path& folder, const std::string& pattern) : folder_(folder) {
  std::string part;
  for (const char c : pattern + "/") {
    if (c != '/') {
      part += c;
      continue;
    }
    if (!part.empty() && part != ".") parts_.push_back(part);
    part.clear();
  }
  if (!parts_.empty() && is_any(parts_.back())) parts_.emplace_back("*");
  problem_ = enter("", with_none({0}));
}

/// `**` may stand for nothing.
std::vector<std::size_t> FolderWalk::with_none(std::vector<std::size_t> at) const {
  for (std::size_t i = 0; i < at.size(); ++i) {
    const std::size_t next = at[i] + 1;
    if (at[i] < parts_.size() && is_any(parts_[at[i]]) && std::find(at.begin(), at.end(), next) == at.end())
      at.push_back(next);
  }
  return at;
}

bool FolderWalk::is_match(const Level& level, const std::string& file) const {
  return std::any_of(level.at.begin(), level.at.end(),
                     [&](std::size_t i) { return i + 1 == parts_.size() && fits(parts_[i], file); });
}

std::vector<std::size_t> FolderWalk::below(const Level& level, const std::string& folder) const {
  std::vector<std::size_t> at;
  const auto add = [&](std::size_t i) {
    if (i < parts_.size() && std::find(at.begin(), at.end(), i) == at.end()) at.push_back(i);
  };
  for (const std::size_t i : level.at) {
    if (i >= parts_.size()) continue;
    if (is_any(parts_[i])) {
      if (folder[0] != '.') add(i);
    } else if (fits(parts_[i], folder)) {
      add(i + 1);
    }
  }
  return with_none(std::move(at));
}

std::string FolderWalk::enter(const std::string& name, std::vector<std::size_t> at) {
  if (levels_.size() == kMostLevels) return fmt::format("more than {} folders deep", kMostLevels);
  Level level{.name = name, .entries = {}, .next = 0, .at = std::move(at)};
  std::error_code failed;
  for (std::filesystem::directory_iterator it(folder_ / name, failed), end; !failed && it != end;
       it.increment(failed)) {
    std::error_code unknown;
    const bool link = it->is_symlink(unknown);
    const bool is_folder = !link && it->is_directory(unknown);
    if (is_folder || it->is_regular_file(unknown))
      level.entries.push_back({it->path().filename().string(), is_folder});
  }
  if (failed) return fmt::format("cannot be read: {}", failed.message());
  std::sort(level.entries.begin(), level.entries.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  levels_.push_back(std::move(level));
  return {};
}

std::optional<FolderWalk::Found> FolderWalk::next() {
  if (!problem_.empty()) return Found{folder_.string(), std::exchange(problem_, {})};
  while (!levels_.empty()) {
    Level& level = levels_.back();
    if (level.next == level.entries.size()) {
      levels_.pop_back();
      continue;
    }
    const Entry& entry = level.entries[level.next++];
    const std::string name = level.name + entry.name;
    if (!entry.is_folder) {
      if (is_match(level, entry.name)) return Found{name, {}};
      continue;
    }
    std::vector<std::size_t> at = below(level, entry.name);
    if (at.empty()) continue;
    std::string problem = enter(name + "/", std::move(at));
    if (!problem.empty()) return Found{name, std::move(problem)};
  }
  return std::nullopt;
}

}  // namespace mmbatch
