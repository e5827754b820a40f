#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace mmbatch {

/// The members of an archive in their order: tar, also packed by gzip, bzip2, xz or zstd, and zip. Nothing is
/// unpacked to the disk, and memory does not grow with the archive. Not thread-safe.
class ArchiveFile {
 public:
  /// @throws UsageError when the file is missing, is no regular file or not readable
  explicit ArchiveFile(const std::filesystem::path& file);
  ~ArchiveFile();
  ArchiveFile(const ArchiveFile&) = delete;
  ArchiveFile& operator=(const ArchiveFile&) = delete;

  struct Member {
    enum class Kind { file, folder, other };  // other: links, devices
    std::string name;                         // as it stands in the archive; at most kMaxName bytes of it
    Kind kind = Kind::file;
    std::string problem;  // why it is not read; empty: it can be
  };
  static constexpr std::size_t kMaxName = 4096;
  /// Goes to the next member; false at the end, and where the archive is damaged.
  bool next(Member& member);

  enum class Read { whole, too_large, damaged };
  /// The bytes of the member, of which at most so many are read.
  Read read(std::string& bytes, std::size_t max_bytes);

  /// Why reading ended before the end of the archive; empty when it did not.
  const std::string& fault() const { return fault_; }

 private:
  struct State;
  /// Goes behind what was not read of the member.  @return false when reading ends here
  bool pass_member();
  bool is_damaged(int outcome);
  /// Whether it unpacks to far more than it is, as files do that were made to fill memory or time.
  bool is_bomb();

  std::unique_ptr<State> state_;
  std::string fault_;
};

}  // namespace mmbatch
