#pragma once

#include <cstdint>
#include <exception>
#include <filesystem>
#include <optional>

#include "jobs/batch/batch_output.h"
#include "pipeline/run/run.h"
#include "pipeline/watch/metrics_file.h"
#include "pipeline/watch/summary.h"
#include "pipeline/watch/timeline.h"

namespace mmbatch {

/// The files that a run writes beside its database. What one of them lacks is not a reason to leave the
/// others out: all are ended, and then the first failure is thrown. Not thread-safe.
class RunFiles {
 public:
  /// @throws OutputError when the trace or the output cannot be opened
  RunFiles(const RunOptions& options, Timeline& timeline);

  /// From here on answers go to --output too, if there is one.  @throws UsageError, OutputError,
  /// DatabaseError
  void open_output(const std::filesystem::path& database, std::int64_t run);

  /// Appends answers that were stored since, and the metrics when they are due. What fails here fails again
  /// when the run ends, and is told then.
  template <class Summarize>
  void go_on(Summarize&& summarize, std::optional<std::uint64_t> total) {
    try_for_now([&] { append_output(); });
    try_for_now([&] {
      if (metrics_.is_due()) metrics_.write(prometheus_text(summarize(), total, RunPhase::running));
    });
  }
  /// When all items are stored.
  void end_items(const RunSummary& summary, std::optional<std::uint64_t> total);
  /// When the run is, too.  @throws FatalError: the first of all failures
  void end_run(const RunSummary& summary);

 private:
  template <class Work>
  static void try_for_now(Work&& work) {
    try {
      work();
    } catch (const std::exception&) {
    }
  }
  template <class Work>
  void attempt(Work&& work) {
    try {
      work();
    } catch (...) {
      if (!first_failure_) first_failure_ = std::current_exception();
    }
  }
  void append_output();
  void write_summary(const RunSummary& summary) const;

  const RunOptions& options_;
  Timeline& timeline_;
  std::optional<BatchOutput> output_;
  MetricsFile metrics_;
  std::exception_ptr first_failure_;
};

}  // namespace mmbatch
