#include "jobs/listing/archive/samples.h"

#include <fmt/format.h>
#include <glob.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <utility>

#include "engine/base/text/lower_case.h"
#include "engine/base/text/utf8.h"
#include "jobs/item/image_path.h"
#include "jobs/item/item_builder.h"
#include "jobs/listing/archive/archive_file.h"
#include "jobs/text/json_node.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

constexpr std::size_t kMostImages = 1024;  // of one item

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool is_image_ending(std::string_view ending) {
  constexpr std::array kEndings = {"png",  "jpg",  "jpeg", "webp", "gif", "bmp", "tif", "tiff",
                                   "heic", "heif", "avif", "jxl",  "jp2", "j2k", "jpe", "jfif"};
  const std::string_view last = ending.substr(ending.rfind('.') + 1);
  return std::find(kEndings.begin(), kEndings.end(), last) != kEndings.end();
}

/// "a/b.seg.png" is "a/b" and "seg.png".
std::pair<std::string, std::string> split_name(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  const std::size_t dot = name.find('.', slash == std::string::npos ? 0 : slash + 1);
  if (dot == std::string::npos) return {name, ""};
  return {name.substr(0, dot), to_lower(name.substr(dot + 1))};
}

/// What belongs to no data: folders, and what packing programs leave behind.
bool is_nothing(const ArchiveFile::Member& member) {
  const std::string_view name = member.name;
  const std::string_view last = name.substr(name.rfind('/') + 1);
  return member.kind == ArchiveFile::Member::Kind::folder || name.substr(0, 9) == "__MACOSX/" ||
         last == ".DS_Store" || last.substr(0, 2) == "._" || last == "Thumbs.db";
}

class SampleReader : public RecordReader {
 public:
  SampleReader(const std::filesystem::path& pattern, Question question)
      : files_(archives_of(pattern)), question_(question) {
    if (files_.empty()) throw UsageError(fmt::format("{}: no archive matches", pattern.string()));
    if (files_.size() == 1) open();  // who names one archive is told at once
  }

  bool next(Record& record) override {
    sample_ = {};
    record = Record{};
    record.default_id_from = Item::IdFrom::file;
    for (; number_ < files_.size(); ++number_, file_.reset()) {
      if (!file_ && !try_open(record)) {
        ++number_;
        return true;
      }
      if (collect()) return finish(record);
      if (report(record)) return true;
    }
    return false;
  }

  NodePointer node() override {
    auto item = std::make_shared<Node>();
    item->kind = Node::Kind::map;
    auto metadata = std::make_shared<Node>();
    metadata->kind = Node::Kind::map;
    const NodePointer own = sample_.json ? add_json(*item, *metadata) : nullptr;
    const bool asked = question_ == Question::of_job || item->find("question") || item->find("prompt") ||
                       item->find("messages");
    if (sample_.text && asked)
      metadata->map.push_back({metadata->find("txt") ? ".txt" : "txt", {}, text_node(*sample_.text)});
    else if (sample_.text)
      item->map.push_back({"question", {}, text_node(*sample_.text)});
    if (sample_.label && !item->find("answer") && !item->find("answers"))
      item->map.push_back({"answer", {}, text_node(*sample_.label)});
    if (own && metadata->map.size() == 1) {
      item->map.push_back(metadata->map[0]);
    } else if (!metadata->map.empty()) {
      metadata->height = 2;
      for (const Node::Entry& entry : metadata->map)
        metadata->height = std::max(metadata->height, entry.value->height + 1);
      item->map.push_back({"metadata", {}, metadata});
    }
    return item;
  }

  std::vector<Item::Image> images() override { return std::move(sample_.images); }

 private:
  struct Sample {
    std::string key;
    std::vector<Item::Image> images;
    std::optional<std::string> json, text, label;
    std::size_t bytes = 0;
    std::optional<Record::Fault> fault;
  };

  void open() {
    file_.emplace(files_[number_]);
    reported_ = false;
    pending_.reset();
  }

  /// One of several archives that cannot be opened is a failed row.
  bool try_open(Record& record) {
    try {
      open();
      return true;
    } catch (const UsageError& e) {
      record.default_id = replace_invalid_utf8(files_[number_].filename().string());
      record.fault = Record::Fault{ErrorCode::invalid_item, e.what()};
      return false;
    }
  }

  /// Reads members up to the first of the next item.  @return whether there are any
  bool collect() {
    bool any = false;
    for (;;) {
      if (!pending_) {
        ArchiveFile::Member member;
        if (!file_->next(member)) {
          if (any && !file_->fault().empty())  // who knows what else belonged to it
            fail(ErrorCode::invalid_item, file_->fault());
          return any;
        }
        if (is_nothing(member)) continue;
        pending_ = std::move(member);
      }
      const auto [key, ending] = split_name(pending_->name);
      if (any && key != sample_.key) return true;
      if (take(key, ending)) any = true;
      pending_.reset();
    }
  }

  /// @return whether the member is an item's
  bool take(const std::string& key, const std::string& ending) {
    const ArchiveFile::Member& member = *pending_;
    const bool image = is_image_ending(ending) || shown_by(member.name) != Item::Shows::image;
    if (member.kind == ArchiveFile::Member::Kind::other && !image && !is_known(ending)) {
      pass_over(member);
      return false;
    }
    if (!member.problem.empty()) {
      sample_.key = key;
      fail(ErrorCode::path_refused, fmt::format("{}: {}", shortened(member.name, 200), member.problem));
      return true;
    }
    if (!image && !is_known(ending)) {
      pass_over(member);
      return false;
    }
    sample_.key = key;
    std::string bytes;
    switch (file_->read(bytes, kMaxRecordBytes - std::min(sample_.bytes, kMaxRecordBytes))) {
      case ArchiveFile::Read::whole:
        break;
      case ArchiveFile::Read::too_large:
        fail(image ? ErrorCode::image_too_large : ErrorCode::invalid_item,
             fmt::format("{}: the files of one item may have {} MiB", shortened(member.name, 200),
                         kMaxRecordBytes >> 20));
        return true;
      case ArchiveFile::Read::damaged:
        fail(ErrorCode::invalid_item, fmt::format("{}: damaged in the archive", shortened(member.name, 200)));
        return true;
    }
    sample_.bytes += bytes.size();
    keep(member, ending, std::move(bytes));
    return true;
  }

  static bool is_known(const std::string& ending) {
    return ending == "json" || ending == "txt" || ending == "cls";
  }

  void keep(const ArchiveFile::Member& member, const std::string& ending, std::string bytes) {
    if (const auto at = ending == "txt" || ending == "cls" ? invalid_utf8_at(bytes) : std::nullopt) {
      fail(ErrorCode::invalid_item,
           fmt::format("{}: not UTF-8 at byte {}", shortened(member.name, 200), *at + 1));
    } else if (is_known(ending)) {
      std::optional<std::string>& kept = ending == "json"  ? sample_.json
                                         : ending == "txt" ? sample_.text
                                                           : sample_.label;
      if (kept) fail(ErrorCode::invalid_item, fmt::format("{}: there twice", shortened(member.name, 200)));
      kept = ending == "json" ? std::move(bytes) : std::string(stripped(bytes));
    } else if (sample_.images.size() == kMostImages) {
      fail(ErrorCode::invalid_item, fmt::format("more than {} images of one item", kMostImages));
    } else {
      Item::Image image;
      image.written = files_[number_].filename().string() + "/" + member.name;
      image.bytes = std::make_shared<const std::string>(std::move(bytes));
      sample_.images.push_back(std::move(image));
    }
  }

  /// The first fault of an item is told.
  void fail(ErrorCode code, std::string problem) {
    if (!sample_.fault) sample_.fault = Record::Fault{code, std::move(problem)};
  }

  void pass_over(const ArchiveFile::Member& member) {
    if (passed_over_++ > 0) return;
    spdlog::warn("{}: {} is passed over, as are others that are neither images nor .json, .txt or .cls files",
                 files_[number_].string(), shortened(member.name, 200));
  }

  bool finish(Record& record) {
    record.default_id = replace_invalid_utf8(shortened(sample_.key, 400));
    record.fault = std::move(sample_.fault);
    return true;
  }

  bool report(Record& record) {
    if (file_->fault().empty() || std::exchange(reported_, true)) return false;
    record.default_id = replace_invalid_utf8(files_[number_].filename().string());
    record.fault = Record::Fault{ErrorCode::invalid_item,
                                 fmt::format("{}: {}", files_[number_].string(), file_->fault())};
    return true;
  }

  /// Keys that items do not have are metadata, as columns of a CSV file are; so are images beside those that
  /// the archive holds.
  /// @return the JSON's own metadata, where it became one of the other keys
  NodePointer add_json(Node& item, Node& metadata) const {
    ParsedJson parsed = parse_json(*sample_.json);
    if (parsed.fault) {
      throw PlacedError(
          ErrorCode::invalid_item, {},
          fmt::format("{}.json:{}:{}: {}", shortened(sample_.key, 200), parsed.fault->place.line,
                      parsed.fault->place.column, parsed.fault->problem));
    }
    if (parsed.node->kind != Node::Kind::map) {
      metadata.map.push_back({"json", {}, parsed.node});
      return nullptr;
    }
    const bool has_images = !sample_.images.empty();
    Item::Shows shows = Item::Shows::image;
    if (sample_.images.size() == 1) shows = shown_by(sample_.images.front().written);
    if (!has_images && parsed.node->get("document") != nullptr) shows = Item::Shows::pages;
    if (!has_images && parsed.node->get("video") != nullptr) shows = Item::Shows::video;
    const auto in = [](const std::vector<std::string>& names, const std::string& name) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    const std::vector<std::string> of_files = {"image", "images", "document", "video"};
    const auto is_key = [&](const std::string& name) {
      const bool foreign = in(of_files, name) ? has_images
                                              : (in(page_keys(), name) && shows != Item::Shows::pages) ||
                                                    (in(video_keys(), name) && shows != Item::Shows::video);
      return !foreign && in(item_keys(), name);
    };
    // Its metadata and its other keys are one object, unless they have a key in common.
    const Node::Entry* const own = parsed.node->get("metadata");
    const bool apart =
        own != nullptr && own->value->kind == Node::Kind::map &&
        std::none_of(own->value->map.begin(), own->value->map.end(), [&](const Node::Entry& entry) {
          return !is_key(entry.key) && parsed.node->find(entry.key) != nullptr;
        });
    for (const Node::Entry& entry : parsed.node->map) {
      if (&entry == own && apart)
        metadata.map.insert(metadata.map.end(), own->value->map.begin(), own->value->map.end());
      else if (!is_key(entry.key) || &entry == own)
        metadata.map.push_back({entry.key, {}, entry.value});
      else if (entry.value->kind != Node::Kind::null)
        item.map.push_back({entry.key, {}, entry.value});
    }
    return own == nullptr || apart ? nullptr : own->value;
  }

  std::vector<std::filesystem::path> files_;
  Question question_;
  std::size_t number_ = 0;  // of the archive that is read
  std::optional<ArchiveFile> file_;
  std::optional<ArchiveFile::Member> pending_;  // the first member of the next item
  Sample sample_;
  std::uint64_t passed_over_ = 0;
  bool reported_ = false;
};

}  // namespace

bool is_archive_name(const std::filesystem::path& file) {
  const std::string name = to_lower(file.filename().string());
  constexpr std::array kEndings = {".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip"};
  return std::any_of(kEndings.begin(), kEndings.end(),
                     [&](std::string_view ending) { return ends_with(name, ending); });
}

std::vector<std::filesystem::path> archives_of(const std::filesystem::path& pattern) {
  if (pattern.string().find_first_of("*?[") == std::string::npos) return {pattern};
  glob_t found{};
  std::vector<std::filesystem::path> files;
  if (::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0)
    files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  std::sort(files.begin(), files.end());
  return files;
}

std::unique_ptr<RecordReader> open_samples(const std::filesystem::path& pattern, Question question) {
  return std::make_unique<SampleReader>(pattern, question);
}

}  // namespace mmbatch
