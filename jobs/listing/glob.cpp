#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"
#include "jobs/listing/records.h"

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

class GlobReader : public RecordReader {
 public:
  GlobReader(const std::string& pattern, const std::filesystem::path& folder) {
    if (pattern.find("**") != std::string::npos) {
      throw UsageError(
          fmt::format("{}: '**' is not supported: list the files in a .jsonl or .csv file", pattern));
    }
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

  NodePointer node() override {
    auto item = std::make_shared<Node>();
    item->kind = Node::Kind::map;
    item->map.push_back({"image", {}, text_node(name_)});
    return item;
  }

 private:
  std::string prefix_;
  std::string name_;
  std::vector<std::string> files_;
  std::size_t next_ = 0;
};

}  // namespace

std::unique_ptr<RecordReader> open_glob(const std::string& pattern, const std::filesystem::path& folder) {
  return std::make_unique<GlobReader>(pattern, folder);
}

}  // namespace mmbatch
