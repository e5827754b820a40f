#include "engine/weights/checkpoint_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "engine/base/error.h"
#include "engine/base/files/lfs_pointer.h"
#include "engine/weights/gguf/gguf_file.h"

namespace mmbatch {

namespace fs = std::filesystem;

Config CheckpointFiles::json_file(const std::string& name) const {
  const std::optional<std::string> text = read_file(name, Config::kMaxFileBytes);
  if (!text) return Config(source_of(name));
  Config config = Config::parse(*text, source_of(name));
  if (!config.is_object()) throw ModelError(source_of(name) + ": expected a JSON object");
  return config;
}

FolderFiles::FolderFiles(fs::path folder) : CheckpointFiles(std::move(folder)) {
  std::error_code failed;
  if (fs::is_regular_file(path() / kVocabularyFile, failed))
    vocabulary_ = std::make_shared<const GgufFile>(path() / kVocabularyFile);
}

const gguf::Metadata* FolderFiles::gguf() const {
  return vocabulary_ ? &vocabulary_->metadata() : nullptr;
}

bool FolderFiles::has_file(const std::string& name) const {
  std::error_code failed;
  return fs::exists(path() / name, failed);
}

std::optional<std::string> FolderFiles::read_file(const std::string& name, std::size_t max_bytes) const {
  if (!has_file(name)) return std::nullopt;
  const fs::path file = path() / name;
  std::error_code failed;
  if (!fs::is_regular_file(file, failed)) throw ModelError(file.string() + ": not a regular file");
  const auto size = fs::file_size(file, failed);
  if (failed) throw ModelError(fmt::format("{}: {}", file.string(), failed.message()));
  if (size > max_bytes)
    throw ModelError(fmt::format("{}: larger than {} MiB", file.string(), max_bytes >> 20));
  std::ifstream stream(file, std::ios::binary);
  std::string bytes(size, '\0');
  if (!stream || (size > 0 && !stream.read(bytes.data(), static_cast<std::streamsize>(size))))
    throw ModelError(file.string() + ": cannot be read");
  if (is_lfs_pointer(bytes)) throw ModelError(fmt::format("{}: {}", file.string(), kLfsPointerFault));
  return bytes;
}

std::vector<std::string> FolderFiles::list_files(const std::string& folder) const {
  std::vector<std::string> names;
  std::error_code failed;
  if (!fs::is_directory(path() / folder, failed)) return names;
  try {
    for (const auto& entry : fs::directory_iterator(path() / folder)) {
      if (names.size() == kMaxListed) {
        throw ModelError(fmt::format("{}: more than {} files", (path() / folder).string(), kMaxListed));
      }
      if (entry.is_regular_file()) names.push_back(entry.path().filename().string());
    }
  } catch (const fs::filesystem_error& e) {
    throw ModelError(fmt::format("{}: {}", (path() / folder).string(), e.code().message()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace mmbatch
