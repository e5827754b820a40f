#include "jobs/output/file_roles.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/files/checkpoint_names.h"
#include "engine/base/output/output_error.h"
#include "engine/base/output/output_file.h"
#include "jobs/listing/archive/samples.h"
#include "jobs/output/file_identity.h"
#include "jobs/output/standard_streams.h"

namespace mmbatch {
namespace fs = std::filesystem;
namespace {

/// Whether bytes begin as files of images, documents and videos do.
bool begins_like_an_image(std::string_view bytes) {
  using namespace std::string_view_literals;
  constexpr std::array kBegins = {"\x89PNG"sv,
                                  "\xFF\xD8\xFF"sv,
                                  "GIF8"sv,
                                  "II*\0"sv,
                                  "MM\0*"sv,
                                  "II+\0"sv,
                                  "MM\0+"sv,
                                  "\xFF\x0A"sv,
                                  "\0\0\0\x0CJXL "sv,
                                  "\0\0\0\x0CjP  "sv,
                                  "\xFF\x4F\xFF\x51"sv,
                                  "%PDF-"sv,
                                  "\x1A\x45\xDF\xA3"sv};
  for (const std::string_view begin : kBegins) {
    if (bytes.substr(0, begin.size()) == begin) return true;
  }
  if (bytes.substr(0, 2) == "BM") {  // as some words begin, too: the size of its second header is told
    constexpr std::array kSizes = {12, 40, 52, 56, 64, 108, 124};
    return bytes.size() >= 18 && bytes.substr(15, 3) == "\0\0\0"sv &&
           std::find(kSizes.begin(), kSizes.end(), bytes[14]) != kSizes.end();
  }
  const std::string_view kind = bytes.size() >= 12 ? bytes.substr(4, 4) : std::string_view();
  return kind == "ftyp" || (bytes.substr(0, 4) == "RIFF" && bytes.size() >= 12 &&
                            (bytes.substr(8, 4) == "WEBP" || bytes.substr(8, 4) == "AVI "));
}

/// Of a checkpoint's or an adapter's folder, which may be the one that all is done in: not everything in it
/// is the model's.
bool is_of_a_checkpoint(const fs::path& file) {
  constexpr std::array kEndings = {".safetensors", ".gguf", ".model", ".jinja"};
  const std::string name = file.filename().string();
  return std::find(kEndings.begin(), kEndings.end(), file.extension().string()) != kEndings.end() ||
         std::find(kSmallCheckpointFiles.begin(), kSmallCheckpointFiles.end(), name) !=
             kSmallCheckpointFiles.end() ||
         name == "adapter_config.json";
}

bool is_image(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::array<char, 32> begin{};
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
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    if (is_of_a_checkpoint(entry.path())) reads("a file of " + what, entry.path());
  }
  const fs::path templates = folder / "additional_chat_templates";
  for (const auto& entry : fs::directory_iterator(templates, failed))
    reads("a template of " + what, entry.path());
}

void FileRoles::reads(const ModelPlace& model) {
  reads("the model", model.model);
  std::error_code failed;
  // Of a GGUF file the shards, and the mmproj file that is found beside it.
  const bool is_file = fs::is_regular_file(model.model, failed);
  const fs::path folder = is_file ? model.model.parent_path() : model.model;
  if (!is_file || model.model.extension() == ".gguf")
    reads_folder("the model", folder.empty() ? "." : folder);
  if (model.parts.projector != "none") reads("--mmproj", model.parts.projector);
  for (const AdapterPlace& adapter : model.parts.adapters) {
    reads("--lora", adapter.folder);
    reads_folder("--lora", adapter.folder);
  }
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

void FileRoles::reads_turn_format(const std::string& format) {
  const bool is_pattern = format.find("{question}") != std::string::npos;
  if (!is_pattern && (format.ends_with(".jinja") || format.find('/') != std::string::npos))
    reads("--turn-format", format);
}

void FileRoles::reads_database(const fs::path& file) {
  reads("the database", file);
  for (const char* ending : {"-wal", "-shm", "-journal", ".lock"})
    reads(fmt::format("the database's {}", ending), link_target(file).string() + ending);
}

void FileRoles::reads_standard_input() {
  struct stat status {};
  if (::fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode))
    read_.push_back({"what is read, the standard input", {}, {status.st_dev, status.st_ino, {}}});
}

void FileRoles::writes(const std::string& what, const fs::path& file) {
  if (!is_standard_output(file)) return add(written_, what, file);
  if (const auto identity = identity_of(StandardStream::output)) written_.push_back({what, file, *identity});
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

/// An output that is one of the streams itself, under whatever name, is wanted there.
void FileRoles::check_streams() const {
  const auto is_stream = [](const fs::path& file) {
    return is_standard_output(file) || file.string().starts_with("/dev/") ||
           file.string().starts_with("/proc/");
  };
  check_standard_streams([&](StandardStream stream, const FileIdentity& file) -> std::string {
    for (const Role& read : read_) {
      if (read.identity == file) return fmt::format("would write into {} {}", read.what, read.file.string());
    }
    for (const Role& written : written_) {
      if (written.identity == file && !is_stream(written.file))
        return fmt::format("would write into {} {}", written.what, written.file.string());
    }
    return is_image(name_in_proc(stream)) ? "would write into a file that is an image" : "";
  });
}

void FileRoles::check() const {
  check_streams();
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
    throw OutputError(fmt::format("{} {}: cannot be written: {}", written.what, written.file.string(),
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
