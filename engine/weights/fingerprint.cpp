#include "engine/weights/fingerprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/sha256.h"

namespace mmbatch {
namespace {

constexpr std::uint64_t kSamples = 64;
constexpr std::uint64_t kSampleBytes = 64u << 10;
constexpr std::uint64_t kMaxHashedHeader = 100u << 20;

/// A file that is hashed piece by piece.
class HashedFile {
 public:
  HashedFile(const std::filesystem::path& file, Sha256& hash)
      : file_(file), size_(std::filesystem::file_size(file)), stream_(file, std::ios::binary), hash_(hash) {}

  std::uint64_t size() const { return size_; }

  /// Hashes bytes [begin, begin + count), as far as there are any.
  void add(std::uint64_t begin, std::uint64_t count) {
    std::vector<char> buffer(1u << 20);
    stream_.seekg(static_cast<std::streamoff>(std::min(begin, size_)));
    for (std::uint64_t left = std::min(count, size_ - std::min(begin, size_)); left > 0;) {
      const auto part = static_cast<std::streamsize>(std::min<std::uint64_t>(left, buffer.size()));
      if (!stream_.read(buffer.data(), part))
        throw ModelError(fmt::format("{}: cannot be read", file_.string()));
      hash_.update(buffer.data(), static_cast<std::size_t>(part));
      left -= static_cast<std::uint64_t>(part);
    }
  }

  /// Length of a safetensors header with its own eight bytes, bounded.
  std::uint64_t header_bytes() {
    unsigned char length[8] = {};
    stream_.seekg(0);
    if (!stream_.read(reinterpret_cast<char*>(length), 8)) {
      stream_.clear();
      return size_;
    }
    std::uint64_t bytes = 0;
    for (int i = 7; i >= 0; --i) bytes = bytes << 8 | length[i];
    return 8 + std::min(bytes, kMaxHashedHeader);
  }

 private:
  std::filesystem::path file_;
  std::uint64_t size_;
  std::ifstream stream_;
  Sha256& hash_;
};

bool is_weights(const std::filesystem::path& file) {
  return file.extension() == ".safetensors";
}

bool shapes_answers(const std::filesystem::path& file) {
  const std::string name = file.filename().string();
  const std::string extension = file.extension().string();
  if (name.empty() || name[0] == '.') return false;
  return is_weights(file) || extension == ".json" || extension == ".model" || extension == ".jinja" ||
         name == "merges.txt" || name == "vocab.txt" || name == "tokenizer.gguf";
}

std::vector<std::filesystem::path> files_of(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file() && shapes_answers(entry.path())) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// Name, size and bytes of a file of weights.
void add_weights(HashedFile& file, std::uint64_t header_bytes, FingerprintScope scope) {
  if (scope == FingerprintScope::all_bytes || file.size() <= kSamples * kSampleBytes)
    return file.add(0, file.size());
  file.add(0, header_bytes);
  // The first sample begins the file and the last ends it.
  const std::uint64_t span = file.size() - kSampleBytes;
  for (std::uint64_t i = 0; i < kSamples; ++i)
    file.add(span / (kSamples - 1) * i + span % (kSamples - 1) * i / (kSamples - 1), kSampleBytes);
}

const char* title(FingerprintScope scope) {
  return scope == FingerprintScope::samples ? "mmbatch model 1, samples" : "mmbatch model 1, all bytes";
}

}  // namespace

std::string files_fingerprint(const std::vector<FingerprintFile>& files, FingerprintScope scope) {
  try {
    Sha256 hash;
    hash.field(title(scope));
    for (const FingerprintFile& one : files) {
      HashedFile file(one.path, hash);
      hash.field(one.path.filename().string()).field(file.size());
      add_weights(file, one.header_bytes, scope);
    }
    return hash.hex();
  } catch (const std::filesystem::filesystem_error& e) {
    throw ModelError(fmt::format("the model's fingerprint cannot be taken: {}", e.what()));
  }
}

std::string folder_fingerprint(const std::filesystem::path& folder, FingerprintScope scope) {
  try {
    Sha256 hash;
    hash.field(title(scope));
    for (const auto& path : files_of(folder)) {
      HashedFile file(path, hash);
      hash.field(path.filename().string()).field(file.size());
      if (is_weights(path))
        add_weights(file, file.header_bytes(), scope);
      else
        file.add(0, file.size());
    }
    return hash.hex();
  } catch (const std::filesystem::filesystem_error& e) {
    throw ModelError(
        fmt::format("{}: the model's fingerprint cannot be taken: {}", folder.string(), e.code().message()));
  }
}

}  // namespace mmbatch
