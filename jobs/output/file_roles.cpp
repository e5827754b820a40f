#include "jobs/output/file_roles.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/output/output_file.h"
#include "jobs/listing/archive/samples.h"
#include "jobs/output/file_identity.h"

namespace mmbatch {
namespace fs = std::filesystem;
namespace {

/// Whether bytes begin as image files of any kind do.
bool begins_like_an_image(std::string_view bytes) {
  using namespace std::string_view_literals;
  constexpr std::array kBegins = {"\x89PNG"sv,  "\xFF\xD8\xFF"sv,   "GIF8"sv,           "BM"sv,
                                  "II*\0"sv,    "MM\0*"sv,          "II+\0"sv,          "MM\0+"sv,
                                  "\xFF\x0A"sv, "\0\0\0\x0CJXL "sv, "\0\0\0\x0CjP  "sv, "\xFF\x4F\xFF\x51"sv,
                                  "%PDF-"sv};
  for (const std::string_view begin : kBegins) {
    if (bytes.substr(0, begin.size()) == begin) return true;
  }
  const std::string_view kind = bytes.size() >= 12 ? bytes.substr(4, 4) : std::string_view();
  return kind == "ftyp" ||
         (bytes.substr(0, 4) == "RIFF" && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP");
}

bool is_image(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::array<char, 16> begin{};
  in.read(begin.data(), begin.size());
  return begins_like_an_image({begin.data(), static_cast<std::size_t>(in.gcount())});
}

}  // namespace

struct FileRoles::Role {
  std::string what;
  fs::path file;
  FileIdentity identity;
};

FileRoles::FileRoles() = default;
FileRoles::~FileRoles() = default;

void FileRoles::add(std::vector<Role>& roles, const std::string& what, const fs::path& file) {
  if (file.empty()) return;
  if (const auto identity = identity_of(file)) roles.push_back({what, file, *identity});
}

void FileRoles::reads(const std::string& what, const fs::path& file) {
  add(read_, what, file);
}

void FileRoles::reads_folder(const std::string& what, const fs::path& folder) {
  reads(what, folder);
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) reads("a file of " + what, entry.path());
}

void FileRoles::reads(const Manifest& manifest) {
  reads("the manifest", manifest.file);
  for (const fs::path& file : manifest.named_files) reads("what the manifest names:", file);
  for (const Job& job : manifest.jobs) {
    if (job.source.kind == ItemSource::Kind::glob) continue;
    if (job.source.kind == ItemSource::Kind::archive) {
      for (const fs::path& archive : archives_of(job.source.path)) reads("the listing", archive);
      continue;
    }
    reads("the listing", job.source.path);
    reads("the listing", job.source.annotations);
  }
}

void FileRoles::reads_database(const fs::path& file) {
  reads("the database", file);
  for (const char* ending : {"-wal", "-shm", "-journal", ".lock"})
    reads(fmt::format("the database's {}", ending), link_target(file).string() + ending);
}

void FileRoles::writes(const std::string& what, const fs::path& file) {
  if (!is_standard_output(file)) return add(written_, what, file);
  if (const auto identity = identity_of_standard_output()) written_.push_back({what, file, *identity});
}

void FileRoles::writes_locked(const std::string& what, const fs::path& file) {
  if (is_standard_output(file))
    throw UsageError(fmt::format("{} -: it is what a later run goes on with, so it has to be a file", what));
  if (!identity_of(file)) return;
  writes(what, file);
  writes(fmt::format("the lock of {}", what), link_target(file).string() + ".lock");
}

void FileRoles::writes_database(const fs::path& file) {
  const std::string name = file.string();
  for (const std::string ending : {"-wal", "-shm", "-journal", ".lock"}) {
    std::error_code failed;
    if (!name.ends_with(ending) || !fs::exists(name.substr(0, name.size() - ending.size()), failed)) continue;
    throw UsageError(
        fmt::format("the database {} would overwrite a file that {} keeps beside it: choose another name",
                    name, name.substr(0, name.size() - ending.size())));
  }
  writes_locked("the database", file);
  for (const char* ending : {"-wal", "-shm", "-journal"})
    writes(fmt::format("the database's {}", ending), link_target(file).string() + ending);
}

void FileRoles::check() const {
  const auto refuse = [](const Role& written, const Role& other) {
    throw UsageError(fmt::format("{} {} would overwrite {} {}: give one of them another name", written.what,
                                 written.file.string(), other.what, other.file.string()));
  };
  for (std::size_t i = 0; i < written_.size(); ++i) {
    for (const Role& read : read_) {
      if (written_[i].identity == read.identity) refuse(written_[i], read);
    }
    for (std::size_t k = 0; k < i; ++k) {
      if (written_[i].identity == written_[k].identity) refuse(written_[i], written_[k]);
    }
    check_overwritten(written_[i]);
  }
  for (const Role& written : written_) {
    if (written.what.rfind("--", 0) == 0 && !is_standard_output(written.file)) check_place(written);
  }
}

void FileRoles::check_place(const Role& written) {
  const auto refuse = [&](int reason) {
    throw UsageError(fmt::format("{} {}: cannot be written: {}", written.what, written.file.string(),
                                 std::strerror(reason)));
  };
  const fs::path place = link_target(written.file);
  const fs::path folder = place.has_parent_path() ? place.parent_path() : fs::path(".");
  struct stat status {};
  if (::stat(place.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) refuse(EISDIR);
    if (::access(place.c_str(), W_OK) != 0) refuse(errno);
  } else if (errno != ENOENT || ::stat(folder.c_str(), &status) != 0) {
    refuse(errno);
  } else if (!S_ISDIR(status.st_mode)) {
    refuse(ENOTDIR);
  } else if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    refuse(errno);
  }
}

void FileRoles::check_overwritten(const Role& written) {
  std::error_code failed;
  if (is_standard_output(written.file) || !fs::is_regular_file(written.file, failed) ||
      !is_image(written.file))
    return;
  throw UsageError(fmt::format("{} {} would overwrite {}, which is an image: choose another name",
                               written.what, written.file.string(), written.file.string()));
}

}  // namespace mmbatch
