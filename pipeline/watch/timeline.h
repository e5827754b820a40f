#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "pipeline/graph/stage.h"

namespace mmbatch {

/// When a call of a stage begins, and when it has ended.
enum class StageMoment { begins, ended };
using StageHook = std::function<void(Stage, StageMoment)>;

/// Where a run's time goes: seconds, calls and faults by stage, always; and, if asked for, every call on its
/// thread as a Chrome trace, which Perfetto and chrome://tracing open. Thread-safe; its memory does not grow.
///
///   file  := "[" event ("," event)* "]"      (what a killed run leaves, without "]", opens too)
///   event := https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
class Timeline {
 public:
  using Clock = std::chrono::steady_clock;

  /// @param trace empty: seconds only
  /// @param hook called by whatever thread comes to a stage; for tests that end the process there. May be
  /// empty.
  /// @throws OutputError when the trace cannot be written
  explicit Timeline(const std::filesystem::path& trace = {}, StageHook hook = {});
  /// Ends the file; finish() says whether that succeeded.
  ~Timeline();
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  /// Ends the trace.  @throws OutputError when it could not be written
  void finish();

  /// Something about a piece of work, or a curve of a counter.
  struct Number {
    const char* name;
    double value;
  };
  /// A call of a stage begins.  @return when
  Clock::time_point begins(Stage stage);
  /// Notes a call of the calling thread from `begin` to now. `item` is who it was for, if one.
  void add(Stage stage, Clock::time_point begin, std::span<const Number> numbers = {},
           std::string_view item = {});
  /// Counts a fault of an item in a stage.
  void failed(Stage stage) { ++of(stage).faults; }
  /// The values of curves from now on.
  void count(const char* name, std::initializer_list<Number> values);
  /// What the calling thread is called in the trace.
  void name_thread(std::string_view name);
  /// An item's way through the graph, from its admission to its row.
  void item_begins(std::uint64_t number, std::string_view id);
  void item_ends(std::uint64_t number, std::string_view id);

  /// Added up over threads.
  double seconds(Stage stage) const;
  std::uint64_t calls(Stage stage) const { return of(stage).calls; }
  std::uint64_t faults(Stage stage) const { return of(stage).faults; }

 private:
  struct Trace;
  struct Counts {
    std::atomic<std::int64_t> busy_ns{0};
    std::atomic<std::uint64_t> calls{0}, faults{0};
  };
  Counts& of(Stage stage) { return counts_[static_cast<std::size_t>(stage)]; }
  const Counts& of(Stage stage) const { return counts_[static_cast<std::size_t>(stage)]; }
  void trace_call(Stage stage, Clock::time_point begin, Clock::time_point end,
                  std::span<const Number> numbers, std::string_view item);
  void count_item(int change);

  const StageHook hook_;
  std::array<Counts, kStages.size()> counts_;
  std::atomic<int> in_flight_{0};
  std::unique_ptr<Trace> trace_;
};

}  // namespace mmbatch
