#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
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

/// A folder that a pattern leads through, and that cannot be read.
struct Unread {
  std::string folder;
  std::string problem;
};

struct Matches {
  std::vector<std::string> files;
  std::vector<Unread> unread;
};

Matches matches(const std::string& pattern) {
  static thread_local std::vector<Unread>* unread = nullptr;  // glob() passes nothing on to its callback
  Matches all;
  unread = &all.unread;
  const auto note = [](const char* folder, int reason) {
    unread->push_back({folder, std::strerror(reason)});
    return 0;
  };
  glob_t found{};
  const int code = ::glob(pattern.c_str(), GLOB_NOSORT | GLOB_MARK, note, &found);
  std::vector<std::string>& files = all.files;
  if (code == 0) files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (code == GLOB_NOSPACE) throw std::bad_alloc();
  const auto is_folder = [](const std::string& file) { return file.back() == '/'; };
  files.erase(std::remove_if(files.begin(), files.end(), is_folder), files.end());
  std::sort(files.begin(), files.end());
  return all;
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
    auto [files, unread] = matches(escaped(prefix_) + pattern);
    files_ = std::move(files);
    unread_ = std::move(unread);
    if (!files_.empty()) return;
    const std::string why =
        unread_.empty() ? "" : fmt::format(": {} cannot be read: {}", unread_[0].folder, unread_[0].problem);
    throw UsageError(fmt::format("{}{}: no file matches{}", prefix_, pattern, why));
  }

  bool next(Record& record) override {
    if (next_ == files_.size()) return next_unread(record);
    name_ = files_[next_++].substr(prefix_.size());
    record = Record{};
    record.default_id = replace_invalid_utf8(name_);
    record.default_id_from = Item::IdFrom::file;
    return true;
  }

  NodePointer node() override { return item_of(name_, of_); }

 private:
  /// Folders that cannot be read are failed rows behind the files: whoever runs it should know that some are
  /// missing.
  bool next_unread(Record& record) {
    if (next_unread_ == unread_.size()) return false;
    const auto& [folder, problem] = unread_[next_unread_++];
    record = Record{};
    record.default_id = replace_invalid_utf8(folder);
    record.default_id_from = Item::IdFrom::file;
    record.fault = Record::Fault{ErrorCode::invalid_item,
                                 fmt::format("{}: the folder cannot be read: {}", folder, problem)};
    return true;
  }

  GlobOf of_;
  std::string prefix_;
  std::string name_;
  std::vector<std::string> files_;
  std::vector<Unread> unread_;
  std::size_t next_ = 0, next_unread_ = 0;
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
    record.default_id_from = Item::IdFrom::file;
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
