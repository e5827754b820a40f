#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "pipeline/graph/flow_stages.h"

namespace mmbatch::bench {

/// Cuts a run into waves: all items of a wave are read, encoded and fused before the first of them is
/// decoded, and all are stored before the next wave begins. Nothing overlaps: what a run would be without a
/// flow graph, kept to measure what overlapping brings. Stands between the graph and its reading and decoding
/// stages; one graph run is one wave, and must not be stopped by itself, but by end(): those that are held
/// would wait for the rest of their wave. Thread-safe.
class Waves {
 public:
  using Read = std::function<std::optional<ReadItem>()>;
  using Decoding = std::function<void(const Fused&, Done<Outcome>)>;

  /// @param items of each wave   @param stop once true, nothing more is read; what was read is finished
  Waves(std::size_t items, const std::atomic<bool>& stop, Read read, Decoding decode);

  /// The next item of this wave; nothing at its end.
  std::optional<ReadItem> read();
  /// Keeps the prompt until all of its wave are there.
  void decode(const Fused& fused, Done<Outcome> done);
  /// One of the wave needs no decoding, and goes past it.
  void pass();
  /// Nothing more is read; what was read is finished.
  void end();
  /// Begins another wave; false when there is nothing left to read.
  bool next();

 private:
  void release_if_complete(std::unique_lock<std::mutex> lock);

  const std::size_t items_;
  const std::atomic<bool>& stop_;
  const Read read_;
  const Decoding decode_;
  std::mutex mutex_;
  // Guarded by mutex_:
  std::size_t count_ = 0;   // read in this wave
  std::size_t passed_ = 0;  // of them, not to be decoded
  bool complete_ = false;   // nothing more is read in this wave
  bool exhausted_ = false;
  std::vector<std::pair<Fused, Done<Outcome>>> held_;
};

/// Runs all items in waves of `in_flight`, each through the flow graph: a RunOptions::run_stages.
void run_in_waves(const FlowStages& stages, std::size_t in_flight, const std::atomic<bool>& stop);

}  // namespace mmbatch::bench
