#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"
#include "jobs/item/image_path.h"
#include "jobs/listing/records.h"
#include "jobs/listing/walk/folder_walk.h"

namespace mmbatch {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '*' || c == '?' || c == '[' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::vector<std::string> matches(const std::string& pattern) {
  glob_t found{};
  const int code = ::glob(pattern.c_str(), GLOB_NOSORT | GLOB_MARK, nullptr, &found);
  std::vector<std::string> files;
  if (code == 0) files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  const auto is_folder = [](const std::string& file) { return file.back() == '/'; };
  files.erase(std::remove_if(files.begin(), files.end(), is_folder), files.end());
  std::sort(files.begin(), files.end());
  return files;
}

NodePointer item_of(const std::string& name, GlobOf of) {
  const Item::Shows shows = of == GlobOf::documents ? Item::Shows::pages : shown_by(name);
  auto item = std::make_shared<Node>();
  item->kind = Node::Kind::map;
  item->map.push_back({shows == Item::Shows::pages   ? "document"
                       : shows == Item::Shows::video ? "video"
                                                     : "image",
                       {},
                       text_node(name)});
  return item;
}

class GlobReader : public RecordReader {
 public:
  GlobReader(const std::string& pattern, const std::filesystem::path& folder, GlobOf of) : of_(of) {
    const bool absolute = std::filesystem::path(pattern).is_absolute();
    if (!absolute) prefix_ = (folder / "").string();
    files_ = matches(escaped(prefix_) + pattern);
    if (files_.empty()) throw UsageError(fmt::format("{}{}: no file matches", prefix_, pattern));
  }

  bool next(Record& record) override {
    if (next_ == files_.size()) return false;
    name_ = files_[next_++].substr(prefix_.size());
    record = Record{};
    record.default_id = replace_invalid_utf8(name_);
    return true;
  }

  NodePointer node() override { return item_of(name_, of_); }

 private:
  GlobOf of_;
  std::string prefix_;
  std::string name_;
  std::vector<std::string> files_;
  std::size_t next_ = 0;
};

/// Of patterns with `**`, whose matches may be too many to be held.
class WalkReader : public RecordReader {
 public:
  WalkReader(const std::string& pattern, const std::filesystem::path& folder, GlobOf of)
      : of_(of),
        walk_(std::filesystem::path(pattern).is_absolute() ? "/" : folder, pattern),
        prefix_(std::filesystem::path(pattern).is_absolute() ? "/" : ""),
        found_(walk_.next()) {
    if (!found_) throw UsageError(fmt::format("{}: no file matches", (folder / pattern).string()));
  }

  bool next(Record& record) override {
    if (!found_) return false;
    name_ = prefix_ + found_->name;
    record = Record{};
    record.default_id = replace_invalid_utf8(name_);
    if (!found_->problem.empty())
      record.fault = Record::Fault{ErrorCode::invalid_item, fmt::format("{}: {}", name_, found_->problem)};
    found_ = walk_.next();
    return true;
  }

  NodePointer node() override { return item_of(name_, of_); }

 private:
  GlobOf of_;
  FolderWalk walk_;
  std::string prefix_;
  std::optional<FolderWalk::Found> found_;  // what comes next
  std::string name_;
};

}  // namespace

std::unique_ptr<RecordReader> open_glob(const std::string& pattern, const std::filesystem::path& folder,
                                        GlobOf of) {
  if (pattern.find("**") != std::string::npos) return std::make_unique<WalkReader>(pattern, folder, of);
  return std::make_unique<GlobReader>(pattern, folder, of);
}

}  // namespace mmbatch
