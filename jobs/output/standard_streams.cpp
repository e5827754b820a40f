#include "jobs/output/standard_streams.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

int descriptor_of(StandardStream stream) {
  return stream == StandardStream::output ? STDOUT_FILENO : STDERR_FILENO;
}

std::string problem_of(StandardStream stream,
                       const std::function<std::string(StandardStream, const FileIdentity&)>& fault) {
  const auto file = identity_of(stream);
  return file ? fault(stream, *file) : std::string();
}

/// A message in a listing or an image is what was to be kept out of it.
void lead_error_away(bool output_is_free) {
  int other = output_is_free ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                             : ::open("/dev/tty", O_WRONLY | O_CLOEXEC | O_NOCTTY);
  if (other < 0) other = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (other < 0) return;
  ::dup2(other, STDERR_FILENO);
  ::close(other);
}

}  // namespace

std::optional<FileIdentity> identity_of(StandardStream stream) {
  struct stat status {};
  if (::fstat(descriptor_of(stream), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return FileIdentity{status.st_dev, status.st_ino, {}};
}

void check_standard_streams(
    const std::function<std::string(StandardStream stream, const FileIdentity& file)>& fault) {
  const std::string of_output = problem_of(StandardStream::output, fault),
                    of_error = problem_of(StandardStream::error, fault);
  if (!of_error.empty()) lead_error_away(of_output.empty());
  if (!of_output.empty())
    throw UsageError(fmt::format("the standard output {}: lead it elsewhere", of_output));
  if (!of_error.empty()) throw UsageError(fmt::format("the standard error {}: lead it elsewhere", of_error));
}

std::string name_in_proc(StandardStream stream) {
  return fmt::format("/proc/self/fd/{}", descriptor_of(stream));
}

}  // namespace mmbatch
