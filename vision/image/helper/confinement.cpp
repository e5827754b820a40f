#include "vision/image/helper/confinement.h"

#include <linux/sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <cerrno>
#include <cstring>
#include <memory>

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

}  // namespace

std::string confine() {
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
