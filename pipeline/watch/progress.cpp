#include "pipeline/watch/progress.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "engine/base/error.h"
#include "engine/base/text/counted.h"

namespace mmbatch {
namespace {

ProgressStyle resolved(ProgressStyle style) {
  if (style != ProgressStyle::automatic) return style;
  return ::isatty(STDERR_FILENO) ? ProgressStyle::line : ProgressStyle::plain;
}

/// What is drawn over a line stays within the terminal, or it would wrap.
constexpr std::size_t kLineWidth = 110;

}  // namespace

ProgressStyle progress_style(const std::string& name) {
  if (name == "auto") return ProgressStyle::automatic;
  if (name == "line") return ProgressStyle::line;
  if (name == "plain") return ProgressStyle::plain;
  if (name == "none") return ProgressStyle::none;
  throw UsageError(fmt::format("--progress {}: allowed are auto, line, plain and none", name));
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t peak_resident_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

std::string bytes_text(std::size_t bytes) {
  const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit < 4; ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

Progress::Progress(const Counters& counters, std::optional<std::uint64_t> total, ProgressStyle style,
                   std::function<void()> tick)
    : counters_(counters), total_(total), style_(resolved(style)), tick_(std::move(tick)), thread_([this] {
        run();
      }) {}

Progress::~Progress() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_one();
  thread_.join();
  if (style_ == ProgressStyle::line) std::fputs("\r\x1b[K", stderr);
}

std::string Progress::line(double seconds) const {
  const std::uint64_t done = counters_.done, computed = counters_.answered + counters_.failed;
  const double rate = seconds > 0 ? static_cast<double>(computed) / seconds : 0;
  // Documents are counted as one item each until their pages are: then there are more than were counted.
  const bool known = total_ && done <= *total_;
  std::string text = known ? fmt::format("{}/{}", done, counted(*total_, "item")) : counted(done, "item");
  if (counters_.resumed > 0) text += fmt::format(", {} answered before", counters_.resumed);
  if (counters_.failed > 0) text += fmt::format(", {} failed", counters_.failed);
  text += fmt::format(" · {:.1f} items/s · {:.0f} tokens/s", rate,
                      seconds > 0 ? static_cast<double>(counters_.answer_tokens) / seconds : 0);
  if (known && rate > 0 && done < *total_) {
    text += fmt::format(" · {} left", duration_text(static_cast<double>(*total_ - done) / rate));
  }
  return text + " · " + bytes_text(resident_bytes());
}

void Progress::run() {
  using namespace std::chrono_literals;
  const auto interval = style_ == ProgressStyle::line ? 200ms : 5000ms;
  auto last_shown = Clock::now();
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, 200ms, [this] { return end_; })) {
    tick_();
    if (style_ == ProgressStyle::none || Clock::now() - last_shown < interval) continue;
    last_shown = Clock::now();
    const std::string text = line(milliseconds_since(begin_) / 1000);
    const std::string shown =
        style_ == ProgressStyle::line ? fmt::format("\r\x1b[K{:.{}}", text, kLineWidth) : text + "\n";
    // Where it cannot be written, such as to a full disk, the run goes on without.
    std::fputs(shown.c_str(), stderr);
    std::fflush(stderr);
  }
}

}  // namespace mmbatch
