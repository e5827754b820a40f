#include "vision/image/helper/confinement.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "vision/image/helper/descriptor.h"

namespace mmbatch::helper {
namespace {

constexpr const char* kAllowed[] = {
    // the socket, and memory shared through it
    "read", "readv", "write", "writev", "recvmsg", "sendmsg", "recvfrom", "sendto", "close", "fstat",
    "newfstatat", "lseek", "munmap", "mremap", "madvise", "brk",
    // threads of codecs
    "futex", "sched_yield", "sched_getaffinity", "set_robust_list", "rseq", "set_tid_address", "membarrier",
    "gettid",
    // time, signals of its own, the end
    "clock_gettime", "clock_nanosleep", "nanosleep", "gettimeofday", "getrusage", "getrandom", "getpid",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "tgkill", "exit", "exit_group"};

/// For opening a font.
constexpr const char* kReading[] = {"access", "faccessat", "faccessat2", "readlink", "readlinkat", "pread64",
                                    "stat",   "lstat",     "statx",      "fcntl",    "getdents64"};

/// Where this machine keeps fonts, lists of them, and the character maps of documents.
std::vector<std::string> font_folders() {
  std::vector<std::string> folders = {
      "/usr/share/fonts", "/usr/local/share/fonts", "/usr/share/poppler",   "/usr/share/fontconfig",
      "/etc/fonts",       "/var/cache/fontconfig",  "/usr/share/X11/fonts", "/usr/share/ghostscript"};
  if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') {
    for (const char* folder : {"/.fonts", "/.local/share/fonts", "/.cache/fontconfig"})
      folders.push_back(std::string(home) + folder);
  }
  return folders;
}

/// Lets files be opened below these folders only, and only to be read.
/// (Documentation/userspace-api/landlock.rst of Linux)
/// @return whether the kernel does so
bool only_read_below(const std::vector<std::string>& folders) {
  landlock_ruleset_attr handled{};
  handled.handled_access_fs =
      LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
      LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
      LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
      LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
      LANDLOCK_ACCESS_FS_MAKE_SYM;
  const Descriptor rules(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0)));
  if (!rules) return false;
  for (const std::string& folder : folders) {
    const Descriptor opened(::open(folder.c_str(), O_PATH | O_CLOEXEC));
    if (!opened) continue;
    landlock_path_beneath_attr below{};
    below.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    below.parent_fd = opened.get();
    if (::syscall(SYS_landlock_add_rule, rules.get(), LANDLOCK_RULE_PATH_BENEATH, &below, 0) != 0)
      return false;
  }
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::syscall(SYS_landlock_restrict_self, rules.get(), 0) == 0;
}

}  // namespace

std::string confine(Kind kind) {
  const bool reads_fonts = kind == Kind::documents && only_read_below(font_folders());
  const std::unique_ptr<void, decltype(&seccomp_release)> filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)),
                                                                 seccomp_release);
  if (!filter) return "libseccomp: no filter";
  int failed = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);
  const auto allow = [&](const char* name, auto... conditions) {
    const int number = seccomp_syscall_resolve_name(name);
    if (failed != 0 || number == __NR_SCMP_ERROR) return;
    failed = seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, number, sizeof...(conditions), conditions...);
  };
  for (const char* name : kAllowed) allow(name);
  if (reads_fonts) {
    for (const char* name : kReading) allow(name);
    allow("openat", SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
    allow("open", SCMP_A1(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
  }
  allow("mmap", SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  allow("mprotect", SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  allow("clone", SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
  allow("prctl", SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
  // clone3 keeps its flags in memory, where no filter sees them; the C library then takes clone.
  if (failed == 0) {
    failed =
        seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), seccomp_syscall_resolve_name("clone3"), 0);
  }
  if (failed == 0) failed = seccomp_load(filter.get());
  return failed == 0 ? "" : std::string("system calls cannot be limited: ") + std::strerror(-failed);
}

}  // namespace mmbatch::helper
