// A run that kills itself, as `kill -9` would, at the COUNTth call of STAGE (its key in the stage table), or
// when that call has ended, for "STAGE ended". With the name of no stage it ends like any run.
//   mmbatch_killed_run MANIFEST DATABASE OUTPUT STAGE COUNT
// Commits are small, so that there is something to lose and something to keep.

#include <signal.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "pipeline/run/run.h"

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  mmbatch::RunOptions options;
  options.manifests = {argv[1]};
  options.database = argv[2];
  options.output = argv[3];
  options.progress = mmbatch::ProgressStyle::none;
  options.store.batch_items = 11;
  options.in_flight = 24;
  const std::string stage = argv[4];
  std::atomic<long> left{std::atol(argv[5])};
  options.on_stage = [&](mmbatch::Stage at, mmbatch::StageMoment moment) {
    const std::string name(mmbatch::row_of(at).key);
    const bool here = stage == (moment == mmbatch::StageMoment::begins ? name : name + " ended");
    if (here && --left == 0) ::raise(SIGKILL);
  };
  try {
    return static_cast<int>(mmbatch::run_manifests(options));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 3;
  }
}
