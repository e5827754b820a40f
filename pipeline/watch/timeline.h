#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// What the threads of a run are busy with.
enum class Activity {
  read,
  admit,
  preprocess,
  encode_image,
  encode_text,
  embed_text,
  fuse,
  decode,
  store,
  commit
};
constexpr std::size_t kActivities = 10;
std::string_view to_string(Activity activity);

/// Where a run's time goes: seconds by activity, always; and, if asked for, every piece of work on its thread
/// as a Chrome trace, which Perfetto and chrome://tracing open. Thread-safe; its memory does not grow.
///
///   file  := "[" event ("," event)* "]"      (what a killed run leaves, without "]", opens too)
///   event := https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
class Timeline {
 public:
  using Clock = std::chrono::steady_clock;

  /// @param trace empty: seconds only  @throws UsageError when it cannot be written
  explicit Timeline(const std::filesystem::path& trace = {});
  /// Ends the file; finish() says whether that succeeded.
  ~Timeline();
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  /// Ends the trace.  @throws UsageError when it could not be written
  void finish();

  /// Something about a piece of work, or a curve of a counter.
  struct Number {
    const char* name;
    double value;
  };
  /// Notes work of the calling thread from `begin` to now. `item` is who it was for, if one.
  void add(Activity activity, Clock::time_point begin, std::initializer_list<Number> numbers = {},
           std::string_view item = {});
  /// The values of curves from now on.
  void count(const char* name, std::initializer_list<Number> values);
  /// What the calling thread is called in the trace.
  void name_thread(std::string_view name);
  /// An item's way through the graph, from its admission to its row.
  void item_begins(std::uint64_t number, std::string_view id);
  void item_ends(std::uint64_t number, std::string_view id);

  /// Whether a trace is written: what is only for it need not be computed otherwise.
  bool traced() const { return trace_ != nullptr; }
  /// Added up over threads.
  double seconds(Activity activity) const;

 private:
  struct Trace;

  std::array<std::atomic<std::int64_t>, kActivities> busy_ns_{};
  std::unique_ptr<Trace> trace_;
};

/// Notes the time from its making to its end.
class TimelineSpan {
 public:
  TimelineSpan(Timeline& timeline, Activity activity, std::string_view item = {})
      : timeline_(timeline), activity_(activity), item_(timeline.traced() ? item : std::string_view()) {}
  ~TimelineSpan() { timeline_.add(activity_, begin_, {}, item_); }
  TimelineSpan(const TimelineSpan&) = delete;
  TimelineSpan& operator=(const TimelineSpan&) = delete;

 private:
  Timeline& timeline_;
  const Activity activity_;
  const std::string item_;
  const Timeline::Clock::time_point begin_ = Timeline::Clock::now();
};

}  // namespace mmbatch
