#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <ostream>
#include <string>

#include "engine/base/output/output_stream.h"

namespace mmbatch {

/// Whether an option that takes a file was given "-", which means the standard output, as with other tools.
bool is_standard_output(const std::filesystem::path& file);

/// A file that is written beside its place and takes it at once, when it is whole: nobody sees half of it,
/// and what was there stays as it was until then. The name meanwhile is one that nothing has; the file of
/// that name goes when this object goes. What is not a regular file, such as /dev/stdout or a pipe, is
/// written as it stands. Not thread-safe.
class OutputFile {
 public:
  /// @param file or "-"  @param option that named the file, for messages: "--summary-json"
  /// @throws OutputError that says why the file cannot be there: no such folder, is a folder, no permission
  OutputFile(const std::filesystem::path& file, const std::string& option);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Throws OutputError where something cannot be written.
  std::ostream& stream() { return *stream_; }
  /// Puts the file into its place.  @throws OutputError
  void commit();

 private:
  std::string option_;
  std::filesystem::path file_;  // with links resolved
  std::filesystem::path part_;  // empty: written as it stands, or in its place
  std::unique_ptr<OutputStream> stream_;
};

/// A file, or "-", that is written as it goes, from its beginning, so that a killed program leaves what it
/// had.
/// @throws OutputError as OutputFile
std::unique_ptr<OutputStream> open_output(const std::filesystem::path& file, const std::string& option);

/// How long a FIFO's reader is waited for.
constexpr std::chrono::milliseconds kReaderTime{5'000};

/// Opens a file to write to it. A FIFO is a way to hand an output on (`-o >(gzip)`), but opening one waits
/// for ever where nobody reads: its reader is waited for so long, and that is said.
/// @param flags of open(2) beside the access mode
/// @return the descriptor; -1 as open(2), with errno ENXIO where no reader came
int open_for_writing(const std::filesystem::path& file, int flags,
                     std::chrono::milliseconds wait = kReaderTime);

/// Why open_for_writing() failed, for people.
std::string why_not_opened(const std::filesystem::path& file, int reason);

/// A name in a folder that nothing has, but for chance: whoever makes something under it has to see that
/// nothing was there. What was left by a process that was killed, or is somebody's own, stays.
std::filesystem::path temporary_name(const std::filesystem::path& folder);

/// An open file of its own.
struct TemporaryFile {
  std::filesystem::path path;
  int descriptor = -1;  // for reading and writing
};

/// Makes a new file in a folder, under a name that nothing has.  @throws std::system_error with the reason
TemporaryFile make_temporary(const std::filesystem::path& folder);

}  // namespace mmbatch
