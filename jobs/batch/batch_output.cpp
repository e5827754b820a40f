#include "jobs/batch/batch_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "engine/base/output/output_file.h"
#include "engine/base/text/visible.h"
#include "jobs/batch/batch_lines.h"
#include "jobs/listing/id_set.h"
#include "jobs/results/run_lock.h"
#include "jobs/results/schema.h"

namespace mmbatch {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

std::string fault(const std::filesystem::path& file, const std::string& reason) {
  return fmt::format(
      "--output {}: cannot be written: {}; the answers are in the database, from which "
      "`mmbatch query DB --format openai` writes them",
      file.string(), reason);
}

[[noreturn]] void fail(const std::filesystem::path& file) {
  throw OutputError(fault(file, std::strerror(errno)));
}

/// Opens it to append lines to it.
int open_lines(const std::filesystem::path& file) {
  const int descriptor = open_for_writing(file, O_CREAT | O_APPEND);
  if (descriptor < 0) throw OutputError(fault(file, why_not_opened(file, errno)));
  return descriptor;
}

bool is_answer(std::string_view line) {
  constexpr std::string_view kEnd = "\"error\": null}";
  return line.size() >= kEnd.size() && line.substr(line.size() - kEnd.size()) == kEnd;
}

/// Appends to a file through a buffer; each write ends with a line.
class LineFile {
 public:
  /// @param file for messages  @param descriptor closed with it
  LineFile(const std::filesystem::path& file, int descriptor)
      : file_(file), fd_(descriptor), is_terminal_(::isatty(descriptor) == 1) {}
  ~LineFile() { ::close(fd_); }
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  void line(const std::string& text) {
    buffer_ += is_terminal_ ? visible(text) : text;
    buffer_ += '\n';
    if (buffer_.size() >= kBufferBytes) flush();
  }

  void flush() {
    std::string_view rest = buffer_;
    while (!rest.empty()) {
      const ssize_t written = ::write(fd_, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        buffer_.erase(0, buffer_.size() - rest.size());
        fail(file_);
      }
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
    buffer_.clear();
  }

  void sync() {
    flush();
    if (::fdatasync(fd_) != 0 && errno != EINVAL) fail(file_);
  }

 private:
  std::filesystem::path file_;
  int fd_;
  bool is_terminal_;
  std::string buffer_;
};

/// Of a temporary file; one that has got another name meanwhile is not there.
struct Remover {
  const std::filesystem::path& file;
  ~Remover() { ::unlink(file.c_str()); }
};

}  // namespace

struct BatchOutput::Impl {
  Impl(const std::filesystem::path& file_, const Options& options_)
      : file(file_), options(options_), database(open_for_reading(options.database)) {
    if (is_plain_file()) {
      lock.emplace(file, RunLock::On::output);
      repair();
    }
    lines.emplace(file, open_lines(file));
    select.emplace(
        *database,
        fmt::format("SELECT {}, r.key FROM {} WHERE r.run_key = ?1 AND r.current >= 0 AND r.key > ?2 "
                    "ORDER BY r.key",
                    BatchLines::columns(*database), BatchLines::tables()));
    key_column = select->columns() - 1;
  }

  /// Or none yet. What is there of a pipe or /dev/null cannot be repaired, and any number may write to it.
  bool is_plain_file() const {
    std::error_code failed;
    const auto type = std::filesystem::status(file, failed).type();
    return type == std::filesystem::file_type::regular || type == std::filesystem::file_type::not_found;
  }

  /// The outcomes of the run whose lines may stay.
  IdSet wanted_ids() const {
    IdSet ids;
    if (options.policy == ResumePolicy::fresh) return ids;
    Statement rows = database->prepare(
        fmt::format("SELECT {} FROM {} WHERE r.run_key = ?1 AND r.current >= 0 AND r.sequence = 0{}",
                    BatchLines::columns(*database), BatchLines::tables(),
                    options.policy == ResumePolicy::retry_failed ? " AND r.status = 'answered'" : ""));
    rows.bind(1, options.run);
    while (rows.step()) ids.insert(batch_line_id(rows));
    return ids;
  }

  /// All answers that the database has, of any run.
  IdSet known_ids() const {
    IdSet ids;
    Statement rows =
        database->prepare(fmt::format("SELECT {} FROM {} WHERE r.status = 'answered' AND r.sequence = 0",
                                      BatchLines::columns(*database), BatchLines::tables()));
    while (rows.step()) ids.insert(batch_line_id(rows));
    return ids;
  }

  [[noreturn]] void refuse(const char* what) const {
    throw UsageError(fmt::format(
        "--output {}: this file is there and {}: choose another name, or move it away", file.string(), what));
  }

  /// Leaves only whole lines of outcomes that are the run's, each once. The file is replaced at once, and
  /// only if something is to go; but nothing goes that this database could not give again.
  void repair() {
    std::ifstream in(file, std::ios::binary);
    if (!in) return;
    const IdSet wanted = wanted_ids();
    const std::filesystem::path place = std::filesystem::canonical(file);
    const TemporaryFile repaired = make_temporary(place.parent_path());
    struct stat status {};
    if (::stat(place.c_str(), &status) != 0 || ::fchmod(repaired.descriptor, status.st_mode & 07777) != 0)
      errno = 0;
    const Remover remover{repaired.path};
    bool whole = true;
    std::optional<IdSet> known;
    {
      LineFile out(file, repaired.descriptor);
      for (std::string line; std::getline(in, line);) {
        const bool torn = in.eof();  // without a newline at its end
        const std::string id = torn ? "" : id_of_batch_line(line);
        if (id.empty() && !torn) refuse("is not batch output");
        if (!torn && wanted.contains(id) && present.insert(id)) {
          out.line(line);
          continue;
        }
        whole = false;
        if (torn || !is_answer(line)) continue;
        if (!known) known = known_ids();
        if (known->contains(id)) continue;
        refuse("has answers of another database");
      }
      out.sync();
    }
    if (!whole && ::rename(repaired.path.c_str(), place.c_str()) != 0) fail(file);
  }

  /// The number of outcomes behind last_key. They get lines unless they have one.
  std::size_t append() {
    select->reset();  // it may have been left in the middle by a full disk
    select->bind(1, options.run).bind(2, last_key);
    BatchLines made;
    std::int64_t key = last_key;
    std::string id;  // of the line that is being made
    std::size_t outcomes = 0;
    const auto write = [&](const std::optional<std::string>& line) {
      if (!line) return;
      ++outcomes;
      if (present.insert(id)) lines->line(*line);
    };
    while (select->step()) {
      const std::string next = batch_line_id(*select);
      write(made.add(*select));
      id = next;
      key = select->integer(key_column);
    }
    select->reset();
    write(made.end());
    lines->flush();
    last_key = key;
    return outcomes;
  }

  /// A row that takes the place of the last one, such as of a failure, gets its key, and so lies behind
  /// last_key: all rows are looked at again.
  void finish() {
    last_key = 0;
    const bool has_replaced = append() < present.size();
    if (has_replaced && is_plain_file()) {
      options.policy = ResumePolicy::resume;
      present = IdSet();
      repair();
      lines.emplace(file, open_lines(file));
    }
    lines->sync();
  }

  std::filesystem::path file;
  Options options;
  std::unique_ptr<Database> database;
  std::optional<RunLock> lock;
  std::optional<LineFile> lines;
  std::optional<Statement> select;
  int key_column = 0;
  IdSet present;
  std::int64_t last_key = 0;
};

BatchOutput::BatchOutput(const std::filesystem::path& file, const Options& options)
    : impl_(std::make_unique<Impl>(file, options)) {}
BatchOutput::~BatchOutput() = default;

void BatchOutput::append() {
  impl_->append();
}

void BatchOutput::finish() {
  impl_->finish();
}

}  // namespace mmbatch
