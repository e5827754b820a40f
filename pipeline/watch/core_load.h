#pragma once

#include <map>
#include <vector>

namespace mmbatch {

/// Seconds that the threads of this process have been on a core so far.
struct ThreadTimes {
  double all = 0;                   // of the whole process, ended threads too
  std::map<int, double> by_thread;  // of those that live, by their number in the system

  static ThreadTimes now();
};

/// How busy the cores were in a run.
struct CoreLoad {
  double cpu_seconds = 0;       // added up over threads
  double busy = 0;              // of all threads that the run may use
  std::vector<double> threads;  // the share of the run that each was on a core, the busiest first
};

/// @param begin the times when the run began   @param seconds that it took   @param threads that it may use
CoreLoad core_load(const ThreadTimes& begin, double seconds, int threads);

}  // namespace mmbatch
