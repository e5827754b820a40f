#include "jobs/results/database_opening.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

#include "jobs/output/file_identity.h"
#include "jobs/output/standard_streams.h"
#include "jobs/results/database_error.h"

namespace mmbatch {
namespace fs = std::filesystem;
namespace {

constexpr int kBusyMilliseconds = 30'000;

/// A path as a URI of SQLite, whose parameters begin with '?'.
std::string file_uri(const fs::path& file, const char* parameters) {
  std::string uri = "file://";  // what comes up to the next slash would be a machine
  for (const char c : fs::absolute(file).string()) {
    if (c == '?' || c == '#' || c == '%')
      uri += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    else
      uri += c;
  }
  return uri + parameters;
}

fs::path beside(const fs::path& file, const char* ending) {
  return file.string() + ending;
}

std::size_t size_of(const fs::path& file) {
  std::error_code failed;
  const auto bytes = fs::file_size(file, failed);
  return failed ? 0 : bytes;
}

/// No stream may write into the database, or into what SQLite and a run keep beside it.
void check_streams(const fs::path& file) {
  check_standard_streams([&](StandardStream, const FileIdentity& led_into) -> std::string {
    for (const char* ending : {"", "-wal", "-shm", "-journal", ".lock"}) {
      const fs::path used = beside(link_target(file), ending);
      if (identity_of(used) == led_into)
        return fmt::format("would write into {}, which is the database or beside it", used.string());
    }
    return {};
  });
}

/// @return whether there is a file
bool check_kind(const fs::path& file, Database::Mode mode) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) {
    if (errno == ENOENT && mode == Database::Mode::create) return false;
    throw DatabaseError(
        fmt::format("{}: {}", file.string(), errno == ENOENT ? "no such file" : std::strerror(errno)));
  }
  check_streams(file);
  if (S_ISREG(status.st_mode)) return true;
  const char* const kind = S_ISDIR(status.st_mode)    ? "a folder"
                           : S_ISFIFO(status.st_mode) ? "a FIFO"
                           : S_ISSOCK(status.st_mode) ? "a socket"
                                                      : "a device";
  throw DatabaseError(fmt::format("{}: is {}, not a results database", file.string(), kind));
}

bool can_be_written(const fs::path& file) {
  struct stat status {};
  // Root may write to everything; a file without any such permission is meant to stay as it is.
  if (::stat(file.c_str(), &status) != 0 || (status.st_mode & 0222) == 0) return false;
  const fs::path folder = fs::absolute(file).parent_path();
  return ::access(file.c_str(), W_OK) == 0 && ::access(folder.c_str(), W_OK | X_OK) == 0;
}

class Opening {
 public:
  explicit Opening(const fs::path& file) : file_(file) {}
  ~Opening() { sqlite3_close(handle_); }

  sqlite3* take() { return std::exchange(handle_, nullptr); }
  sqlite3* handle() const { return handle_; }

  /// Opens it anew. Nothing is asked of it before it is told how long to wait for others.
  int open(const char* parameters, int flags) {
    sqlite3_close(std::exchange(handle_, nullptr));
    const int code = sqlite3_open_v2(file_uri(file_, parameters).c_str(), &handle_,
                                     flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, nullptr);
    if (code != SQLITE_OK) return code;
    sqlite3_busy_timeout(handle_, kBusyMilliseconds);
    return SQLITE_OK;
  }
  /// Opening reads nothing yet; the schema's first page tells what the file is.
  int look() { return execute("SELECT count(*) FROM sqlite_schema"); }
  int open_and_look(const char* parameters, int flags) {
    const int code = open(parameters, flags);
    return code == SQLITE_OK ? look() : code;
  }
  int execute(const char* sql) { return sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr); }
  void keep_log() { sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr); }

 private:
  const fs::path& file_;
  sqlite3* handle_ = nullptr;
};

int open_to_write(Opening& opening) {
  const int code = opening.open("", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  if (code == SQLITE_OK && sqlite3_db_readonly(opening.handle(), "main") == 1) return SQLITE_READONLY;
  return code == SQLITE_OK ? opening.look() : code;
}

int open_to_read(Opening& opening, const fs::path& file) {
  const bool has_log = size_of(beside(file, "-wal")) > 0;
  std::error_code failed;
  const bool is_open = has_log || fs::exists(beside(file, "-shm"), failed);
  int code = SQLITE_CANTOPEN;
  if (can_be_written(file)) {
    // A connection that may write removes the index of the log that it made; one that only reads cannot.
    code = opening.open("", SQLITE_OPEN_READWRITE);
    if (code == SQLITE_OK && has_log) opening.keep_log();  // whose answers stay where they are
    if (code == SQLITE_OK) code = opening.look();
    if (code == SQLITE_OK) return opening.execute("PRAGMA query_only = 1");
    const int kind = code & 0xFF;
    if (kind == SQLITE_FULL || kind == SQLITE_IOERR) {
      // No room even for the index of the log, which then is kept in memory; that takes the file for oneself.
      code = opening.open("", SQLITE_OPEN_READWRITE);
      if (code == SQLITE_OK) opening.keep_log();
      if (code == SQLITE_OK) code = opening.execute("PRAGMA locking_mode = EXCLUSIVE");
      return code == SQLITE_OK ? opening.look() : code;
    }
    if (kind != SQLITE_CANTOPEN && kind != SQLITE_READONLY) return code;
  }
  if (is_open) {
    code = opening.open_and_look("?mode=ro", SQLITE_OPEN_READONLY);
    const int kind = code & 0xFF;
    if (kind != SQLITE_CANTOPEN && kind != SQLITE_READONLY) return code;
  }
  // No one else can be writing to it either.
  code = opening.open_and_look("?immutable=1", SQLITE_OPEN_READONLY);
  if (code == SQLITE_OK && has_log) {
    spdlog::warn("{0}: cannot be written, so the last answers, which are in {0}-wal, are not seen",
                 file.string());
  }
  return code;
}

bool begins_with(const fs::path& file, std::string_view bytes) {
  std::ifstream in(file, std::ios::binary);
  std::string begin(bytes.size(), '\0');
  in.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  return in.gcount() == static_cast<std::streamsize>(bytes.size()) && begin == bytes;
}

}  // namespace

fs::path foreign_side_file(const fs::path& file) {
  using namespace std::string_view_literals;
  // www.sqlite.org/fileformat2.html; a log that was started again, and an ended journal, may begin with
  // zeros.
  const std::pair<const char*, std::array<std::string_view, 3>> kinds[] = {
      {"-wal", {"\x37\x7f\x06\x82"sv, "\x37\x7f\x06\x83"sv, "\0\0\0\0"sv}},
      {"-shm", {"\x18\xe2\x2d\0"sv, "\0\x2d\xe2\x18"sv, "\0\0\0\0"sv}},
      {"-journal", {"\xd9\xd5\x05\xf9"sv, "\xd9\xd5\x05\xf9"sv, "\0\0\0\0"sv}}};
  for (const auto& [ending, begins] : kinds) {
    const fs::path other = beside(file, ending);
    struct stat status {};
    // Beside a database, its index may hold anything: a crash or a full disk leaves it half made, and SQLite
    // makes it again.
    if (ending == std::string_view("-shm") && size_of(file) > 0 && ::stat(other.c_str(), &status) == 0 &&
        S_ISREG(status.st_mode))
      continue;
    if (::stat(other.c_str(), &status) != 0 || (S_ISREG(status.st_mode) && status.st_size == 0)) continue;
    bool known = false;
    for (const std::string_view begin : begins)
      known = known || (S_ISREG(status.st_mode) && begins_with(other, begin));
    if (!known) return other;
  }
  return {};
}

sqlite3* open_sqlite(const fs::path& file, Database::Mode mode) {
  // SQLite's own account of its memory costs a lock at every allocation.
  [[maybe_unused]] static const int configured = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  check_kind(file, mode);
  if (const fs::path foreign = foreign_side_file(file); !foreign.empty()) {
    throw DatabaseError(
        fmt::format("{}: the database would be written to {} too, which is a file of another kind: move it "
                    "away, or choose another name for the database",
                    file.string(), foreign.string()));
  }
  Opening opening(file);
  const int code = mode == Database::Mode::create ? open_to_write(opening) : open_to_read(opening, file);
  if (code != SQLITE_OK) throw_database_error(opening.handle(), code, file);
  return opening.take();
}

}  // namespace mmbatch
