#include "pipeline/watch/core_load.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace mmbatch {
namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

/// User and system time of one thread: fields 14 and 15 of its stat file (proc(5)).
double thread_seconds(const std::filesystem::path& stat) {
  std::ifstream in(stat);
  std::string text;
  std::getline(in, text);
  const std::size_t name_end = text.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

ThreadTimes ThreadTimes::now() {
  ThreadTimes times;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  times.all = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", failed)) {
    const std::string name = entry.path().filename();
    int number = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), number).ec == std::errc())
      times.by_thread[number] = thread_seconds(entry.path() / "stat");
  }
  return times;
}

CoreLoad core_load(const ThreadTimes& begin, double seconds, int threads) {
  CoreLoad load;
  if (seconds <= 0) return load;
  const ThreadTimes end = ThreadTimes::now();
  load.cpu_seconds = end.all - begin.all;
  load.busy = load.cpu_seconds / (seconds * threads);
  for (const auto& [number, time] : end.by_thread) {
    const auto before = begin.by_thread.find(number);
    const double share = (time - (before == begin.by_thread.end() ? 0 : before->second)) / seconds;
    if (share >= 0.01) load.threads.push_back(share);
  }
  std::sort(load.threads.rbegin(), load.threads.rend());
  return load;
}

}  // namespace mmbatch
