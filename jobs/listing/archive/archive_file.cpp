#include "jobs/listing/archive/archive_file.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "engine/base/error.h"
#include "jobs/listing/byte_reader.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

constexpr std::size_t kBlockBytes = 256u << 10;
// What packed text may become; images are packed already.
constexpr std::int64_t kMostTimes = 200;
constexpr std::int64_t kSpared = std::int64_t{256} << 20;  // unpacked bytes that are never too many

/// Names that lead out of the folder that an archive stands for.
bool leads_out(std::string_view name) {
  if (name.substr(0, 1) == "/") return true;
  while (!name.empty()) {
    const std::size_t slash = std::min(name.find('/'), name.size());
    if (name.substr(0, slash) == "..") return true;
    name.remove_prefix(std::min(slash + 1, name.size()));
  }
  return false;
}

/// Why a member that is neither file nor folder has no bytes to read.
std::string no_file(archive_entry* entry) {
  const auto told = [](const char* target) { return shortened(target == nullptr ? "" : target, 200); };
  if (archive_entry_hardlink(entry) != nullptr)
    return fmt::format(
        "a hard link to '{}', and links are not followed: pack the file itself (tar --hard-dereference)",
        told(archive_entry_hardlink(entry)));
  if (archive_entry_filetype(entry) == AE_IFLNK)
    return fmt::format(
        "a symbolic link to '{}', and links are not followed: pack the file itself (tar --dereference)",
        told(archive_entry_symlink(entry)));
  return "a device, a pipe or a socket, not a file";
}

}  // namespace

struct ArchiveFile::State {
  explicit State(int descriptor) : fd(descriptor), reader(archive_read_new()) {}
  ~State() {
    archive_read_free(reader);
    ::close(fd);
  }
  std::string said(const char* otherwise) const {
    const char* const text = archive_error_string(reader);
    return text == nullptr ? otherwise : shortened(text, 200);
  }

  int fd;
  archive* reader;
  std::int64_t packed_size = 0;
  std::int64_t members = 0;
  bool ended = false;
};

ArchiveFile::ArchiveFile(const std::filesystem::path& file)
    : state_(std::make_unique<State>(open_regular_file(file))) {
  struct stat status {};
  if (::fstat(state_->fd, &status) == 0) state_->packed_size = status.st_size;
  archive* const reader = state_->reader;
  archive_read_support_format_tar(reader);
  archive_read_support_format_gnutar(reader);
  archive_read_support_format_zip_seekable(reader);
  archive_read_support_filter_gzip(reader);
  archive_read_support_filter_bzip2(reader);
  archive_read_support_filter_xz(reader);
  archive_read_support_filter_zstd(reader);
  if (archive_read_open_fd(reader, state_->fd, kBlockBytes) != ARCHIVE_OK)
    throw UsageError(
        fmt::format("{}: not an archive that is read: {}", file.string(), state_->said("damaged")));
}

ArchiveFile::~ArchiveFile() = default;

bool ArchiveFile::is_bomb() {
  const std::int64_t unpacked = archive_filter_bytes(state_->reader, 0);
  if (unpacked < kSpared || unpacked / kMostTimes < state_->packed_size) return false;
  fault_ = fmt::format("the archive unpacks to more than {} times its size", kMostTimes);
  return true;
}

bool ArchiveFile::is_damaged(int outcome) {
  if (outcome != ARCHIVE_FATAL && outcome != ARCHIVE_RETRY) return false;
  fault_ = fmt::format("the archive cannot be read to its end: {}", state_->said("it is damaged"));
  return true;
}

bool ArchiveFile::pass_member() {
  archive* const reader = state_->reader;
  if (archive_filter_code(reader, 0) == ARCHIVE_FILTER_NONE)  // nothing is unpacked
    return !is_damaged(archive_read_data_skip(reader));
  const void* block = nullptr;
  std::size_t bytes = 0;
  la_int64_t offset = 0;
  int outcome = ARCHIVE_OK;
  while (outcome == ARCHIVE_OK || outcome == ARCHIVE_WARN) {
    if (is_bomb()) return false;
    outcome = archive_read_data_block(reader, &block, &bytes, &offset);
  }
  return !is_damaged(outcome);
}

bool ArchiveFile::next(Member& member) {
  if (!fault_.empty() || state_->ended) return false;
  if (state_->members > 0 && !pass_member()) return false;
  const std::int64_t before = archive_filter_bytes(state_->reader, 0);
  archive_entry* entry = nullptr;
  const int outcome = archive_read_next_header(state_->reader, &entry);
  state_->ended = outcome == ARCHIVE_EOF;
  if (state_->ended) {
    const bool is_tar = (archive_format(state_->reader) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
    if (is_tar && state_->members > 0 && archive_filter_bytes(state_->reader, 0) == before)
      fault_ = "the archive has no end: it was cut, or whoever packed it did not finish";
    return false;
  }
  ++state_->members;
  if (is_damaged(entry == nullptr ? ARCHIVE_FATAL : outcome) || is_bomb()) return false;
  // Names that are not text in this locale are there as bytes only.
  const char* const name = archive_entry_pathname(entry);
  member = {};
  member.name = name == nullptr ? "" : name;
  const auto type = archive_entry_filetype(entry);
  member.kind = type == AE_IFREG   ? Member::Kind::file
                : type == AE_IFDIR ? Member::Kind::folder
                                   : Member::Kind::other;
  if (archive_entry_hardlink(entry) != nullptr) member.kind = Member::Kind::other;
  if (member.name.empty() || member.name.size() > kMaxName) {
    member.problem =
        fmt::format("a member's name has {} bytes: 1 to {} are allowed", member.name.size(), kMaxName);
    member.name.resize(std::min(member.name.size(), std::size_t{200}));
  } else if (leads_out(member.name)) {
    member.problem = "a member's name leads out of the archive";
  } else if (archive_entry_is_encrypted(entry) != 0) {
    member.problem = "a member is encrypted";
  } else if (member.kind == Member::Kind::other) {
    member.problem = no_file(entry);
  }
  return true;
}

ArchiveFile::Read ArchiveFile::read(std::string& bytes, std::size_t max_bytes) {
  bytes.clear();
  std::string block(64u << 10, '\0');
  for (;;) {
    const la_ssize_t got = archive_read_data(state_->reader, block.data(), block.size());
    if (got == 0) return Read::whole;
    if (got < 0) return Read::damaged;
    if (bytes.size() + static_cast<std::size_t>(got) > max_bytes) {
      bytes.clear();
      return Read::too_large;
    }
    bytes.append(block, 0, static_cast<std::size_t>(got));
  }
}

}  // namespace mmbatch
