#include "vision/image/helper/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/machine/cores.h"
#include "vision/image/helper/image_helper.h"

namespace mmbatch::helper {
namespace {

using Milliseconds = std::chrono::milliseconds;
constexpr Milliseconds kStartTime{60'000};

[[noreturn]] void refuse(const std::filesystem::path& program, const std::string& problem) {
  throw ItemError(ErrorCode::unsupported,
                  fmt::format("the image helper {} cannot be started: {}", program.string(), problem));
}

/// This process's environment, but for libraries that would start threads the helper has no use for.
std::vector<std::string> environment() {
  std::vector<std::string> all = {"OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1", "MALLOC_ARENA_MAX=1"};
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('=') + 1);
    if (std::none_of(all.begin(), all.begin() + 3,
                     [&](const std::string& own) { return own.rfind(name, 0) == 0; })) {
      all.push_back(text);
    }
  }
  return all;
}

pid_t spawn(const std::filesystem::path& program, Kind kind, int socket) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
#if !defined(__SANITIZE_ADDRESS__)  // whose reports are wanted
  posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
#endif
  posix_spawn_file_actions_adddup2(&files, socket, kSocket);
  posix_spawn_file_actions_addclosefrom_np(&files, kSocket + 1);
  // A process group of its own: what stops the caller (Ctrl-C) is for the caller to pass on. All signals as
  // new.
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string name = "mmbatch", argument(helper_argument(kind));
  char* const arguments[] = {name.data(), argument.data(), nullptr};
  std::vector<std::string> texts = environment();
  std::vector<char*> variables;
  for (std::string& text : texts) variables.push_back(text.data());
  variables.push_back(nullptr);
  pid_t pid = -1;
  const OnAllCores everywhere;  // any thread may wait for the helper, not the pinned one that starts it alone
  const int failed = ::posix_spawn(&pid, program.c_str(), &files, &attributes, arguments, variables.data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) refuse(program, std::strerror(failed));
  return pid;
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    return signal == SIGXCPU
               ? "it took too much processor time"
               : fmt::format("its decoder was ended by signal {} ({})", signal, ::strsignal(signal));
  }
  return fmt::format("its decoder ended with status {}", WEXITSTATUS(status));
}

/// Limits that the helper cannot change itself; the hard ones are the caller's.
void lower(pid_t pid, __rlimit_resource resource, std::uint64_t value) {
  rlimit limit{};
  if (::prlimit(pid, resource, nullptr, &limit) != 0) return;
  limit.rlim_cur = std::min<rlim_t>(value, limit.rlim_max);
  ::prlimit(pid, resource, &limit, nullptr);
}

}  // namespace

Process::Process(const std::filesystem::path& program, Kind kind) {
  int sockets[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
    refuse(program, std::strerror(errno));
  socket_ = Descriptor(sockets[0]);
  {
    const Descriptor other(sockets[1]);  // closed here, so that the helper's end is seen
    pid_ = spawn(program, kind, other.get());
  }
  Hello hello;
  if (!receive(&hello, sizeof(hello), kStartTime)) {
    const std::string ended = end();
    refuse(program, timed_out_ ? "it does not answer" : ended);
  }
  hello.problem[sizeof(hello.problem) - 1] = '\0';
  if (hello.problem[0] != '\0') {
    end();
    refuse(program, hello.problem);
  }
  base_memory_ = hello.address_space;
}

Process::~Process() {
  end();
}

std::string Process::end() {
  if (pid_ < 0) return "";
  int status = 0;
  // An end of its own is seen on the socket a moment before there is a status.
  const bool ended_itself = [&] {
    pollfd end{socket_.get(), 0, 0};
    return ::poll(&end, 1, 0) == 1 && (end.revents & (POLLHUP | POLLERR)) != 0;
  }();
  if (!ended_itself) ::kill(pid_, SIGKILL);
  for (int tries = 0; ended_itself && tries < 500; ++tries) {
    const pid_t reaped = ::waitpid(pid_, &status, WNOHANG);
    if (reaped == pid_) {
      pid_ = -1;
      return how_it_ended(status);
    }
    if (reaped < 0 && errno != EINTR) break;
    ::usleep(10'000);
  }
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return how_it_ended(status);
}

bool Process::receive(void* message, std::size_t size, Milliseconds time) {
  const auto deadline = std::chrono::steady_clock::now() + time;
  while (true) {
    const auto left = std::chrono::ceil<Milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waiting{socket_.get(), POLLIN, 0};
    const int ready =
        ::poll(&waiting, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) timed_out_ = true;
    if (ready <= 0) return false;
    const ssize_t got = ::recv(socket_.get(), message, size, MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    return got == static_cast<ssize_t>(size);
  }
}

void Process::limit(const Task& task) const {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which take terabytes of address space
  lower(pid_, RLIMIT_AS, base_memory_ + task.memory);
#endif
  clockid_t clock{};
  timespec spent{};
  if (::clock_getcpuclockid(pid_, &clock) == 0 && ::clock_gettime(clock, &spent) == 0) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(task.time).count();
    lower(pid_, RLIMIT_CPU, static_cast<std::uint64_t>(spent.tv_sec + 2 * seconds + 1));
  }
}

std::variant<Reply, std::string> Process::exchange(const Task& task) {
  limit(task);
  iovec data{const_cast<Request*>(&task.request), sizeof(task.request)};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(2 * sizeof(int));
  const int fds[2] = {task.encoded, task.pixels};
  std::memcpy(CMSG_DATA(head), fds, sizeof(fds));
  Reply reply;
  const bool sent =
      ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof(task.request));
  if (!sent || !receive(&reply, sizeof(reply), task.time)) {
    const std::string ended = end();
    if (timed_out_) return fmt::format("it took more than {} s to decode", task.time.count() / 1000.0);
    return ended;
  }
  used_ = true;
  reply.problem[sizeof(reply.problem) - 1] = '\0';
  return reply;
}

}  // namespace mmbatch::helper
