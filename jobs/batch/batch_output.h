#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "jobs/results/store.h"

namespace mmbatch {

/// Keeps a file of batch output lines (batch_lines.h) in step with a run: what the database holds is
/// appended, so that a line is there only for what is stored. Opening it repairs what a killed run left: a
/// torn last line and lines of outcomes that are no longer the run's are dropped, missing ones are appended.
/// The file is locked while it is open. Not thread-safe.
class BatchOutput {
 public:
  struct Options {
    std::filesystem::path database;
    std::int64_t run = 0;
    ResumePolicy policy = ResumePolicy::resume;  // which of the lines that are there stay
  };
  /// @throws UsageError when the file is something else, holds answers of another database, is held by
  /// another process; OutputError when it cannot be opened.
  BatchOutput(const std::filesystem::path& file, const Options& options);
  ~BatchOutput();

  /// Appends the lines of what was stored since.  @throws OutputError when the file cannot be written,
  /// DatabaseError
  void append();
  /// Appends what is missing yet, drops lines of outcomes that were replaced meanwhile, and puts the file on
  /// the disk.  @throws as append()
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mmbatch
