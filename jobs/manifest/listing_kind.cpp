#include "jobs/manifest/listing_kind.h"

#include <fmt/format.h>

#include <set>

#include "engine/base/text/lower_case.h"
#include "jobs/listing/archive/samples.h"

namespace mmbatch {
namespace {

std::string extension_of(const std::filesystem::path& file) {
  return to_lower(file.extension().string());
}

bool has_wildcard(const std::string& text) {
  return text.find_first_of("*?[") != std::string::npos;
}

/// What people keep data in, and what no picture is in.
bool is_data(const std::string& extension) {
  static const std::set<std::string> known = {
      ".jsonl", ".ndjson",      ".json", ".csv",      ".tsv",    ".txt",     ".parquet",   ".pq",
      ".arrow", ".feather",     ".orc",  ".avro",     ".xlsx",   ".xls",     ".ods",       ".xml",
      ".yaml",  ".yml",         ".toml", ".pkl",      ".pickle", ".npy",     ".npz",       ".h5",
      ".hdf5",  ".lmdb",        ".mdb",  ".db",       ".sqlite", ".sqlite3", ".7z",        ".rar",
      ".md",    ".html",        ".htm",  ".tfrecord", ".tab",    ".dat",     ".jsonlines", ".json5",
      ".pb",    ".safetensors", ".py",   ".mp4",      ".mkv",    ".avi",     ".mov",       ".webm"};
  return known.count(extension) > 0;
}

constexpr const char* kAllowed =
    "a list, a .jsonl, .json, .csv or .tsv file (or .gz of it), a .tar or .zip archive, or a pattern of "
    "image "
    "files such as images/*.png or scans/**/*.jpg";

}  // namespace

std::optional<ItemSource::Kind> listing_kind(const std::filesystem::path& file) {
  if (is_archive_name(file)) return ItemSource::Kind::archive;
  if (has_wildcard(file.filename().string())) return std::nullopt;
  std::string extension = extension_of(file);
  if (extension == ".gz") extension = extension_of(file.stem());
  if (extension == ".jsonl" || extension == ".ndjson" || extension == ".jsonlines")
    return ItemSource::Kind::jsonl;
  if (extension == ".json") return ItemSource::Kind::json;
  if (extension == ".csv") return ItemSource::Kind::csv;
  if (extension == ".tsv") return ItemSource::Kind::tsv;
  return std::nullopt;
}

std::string picture_pattern_fault(const std::filesystem::path& pattern) {
  std::string extension = extension_of(pattern);
  for (const char* packed : {".gz", ".bz2", ".xz", ".zst", ".lz4", ".br"}) {
    if (extension != packed) continue;
    return fmt::format("{} files of this kind are not read as listings; 'items' must be {}", extension,
                       kAllowed);
  }
  const bool is_pattern = has_wildcard(pattern.string());
  if (is_data(extension)) {
    return fmt::format("{} files are not read {}; 'items' must be {}", extension,
                       is_pattern ? "by a pattern: a job has one listing" : "as listings", kAllowed);
  }
  if (is_pattern) return {};
  std::error_code failed;
  const auto type = std::filesystem::status(pattern, failed).type();
  if (type == std::filesystem::file_type::directory)
    return fmt::format("{} is a folder: name its images by a pattern such as images/*.png", pattern.string());
  if (type == std::filesystem::file_type::regular) return {};
  if (type != std::filesystem::file_type::not_found)
    return fmt::format("{} is not a regular file; 'items' must be {}", pattern.string(), kAllowed);
  return fmt::format("{}: no such file; 'items' must be {}", pattern.string(), kAllowed);
}

}  // namespace mmbatch
