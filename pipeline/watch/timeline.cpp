#include "pipeline/watch/timeline.h"

#include <fmt/format.h>

#include <exception>
#include <iterator>
#include <mutex>

#include "engine/base/error.h"
#include "engine/base/output/output_file.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

/// Small numbers for threads, in the order in which they first do something.
int thread_number() {
  static std::atomic<int> next{1};
  thread_local const int number = next++;
  return number;
}

std::string members(std::span<const Timeline::Number> numbers) {
  std::string text;
  for (const Timeline::Number& number : numbers)
    text += fmt::format(R"({}"{}":{:.6g})", text.empty() ? "" : ",", number.name, number.value);
  return text;
}

}  // namespace

/// The file, and what is to be written to it next.
struct Timeline::Trace {
  Clock::time_point begin = Clock::now();
  std::mutex mutex;
  // Guarded by mutex:
  std::unique_ptr<OutputStream> file;
  std::string buffer;
  std::exception_ptr failed;

  explicit Trace(const std::filesystem::path& path_) : file(open_output(path_, "--profile")) {
    buffer = R"([{"name":"process_name","ph":"M","pid":1,"args":{"name":"mmbatch"}})";
    buffer.reserve(kBufferBytes + 4096);
    flush();
  }

  double microseconds(Clock::time_point time) const {
    return std::chrono::duration<double, std::micro>(time - begin).count();
  }
  /// @param event without the braces and what all have in common
  void write(const std::string& event) {
    const int thread = thread_number();
    const std::lock_guard lock(mutex);
    fmt::format_to(std::back_inserter(buffer), ",\n{{\"pid\":1,\"tid\":{},{}}}", thread, event);
    if (buffer.size() > kBufferBytes) flush();
  }
  void flush() {
    try {
      if (!failed) *file << buffer << std::flush;
    } catch (const OutputError&) {
      failed = std::current_exception();  // the run goes on; it is told at the end
    }
    buffer.clear();
  }
  void finish() {
    flush();
    if (failed) std::rethrow_exception(failed);
    file->finish();
  }
};

Timeline::Timeline(const std::filesystem::path& trace, StageHook hook) : hook_(std::move(hook)) {
  if (!trace.empty()) trace_ = std::make_unique<Trace>(trace);
}

Timeline::~Timeline() {
  try {
    finish();
  } catch (const FatalError&) {
  }
}

void Timeline::finish() {
  if (!trace_) return;
  const auto trace = std::move(trace_);
  const std::lock_guard lock(trace->mutex);
  trace->buffer += "]\n";
  trace->finish();
}

Timeline::Clock::time_point Timeline::begins(Stage stage) {
  if (hook_) hook_(stage, StageMoment::begins);
  return Clock::now();
}

void Timeline::add(Stage stage, Clock::time_point begin, std::span<const Number> numbers,
                   std::string_view item) {
  const auto end = Clock::now();
  ++of(stage).calls;
  of(stage).busy_ns += std::chrono::duration_cast<std::chrono::nanoseconds>(end - begin).count();
  if (trace_) trace_call(stage, begin, end, numbers, item);
  if (hook_) hook_(stage, StageMoment::ended);
}

void Timeline::trace_call(Stage stage, Clock::time_point begin, Clock::time_point end,
                          std::span<const Number> numbers, std::string_view item) {
  std::string arguments = members(numbers);
  if (!item.empty())
    arguments += fmt::format(R"({}"item":{})", arguments.empty() ? "" : ",", json_string(item));
  trace_->write(fmt::format(R"("name":"{}","ph":"X","ts":{:.1f},"dur":{:.1f},"args":{{{}}})",
                            row_of(stage).trace, trace_->microseconds(begin),
                            trace_->microseconds(end) - trace_->microseconds(begin), arguments));
}

void Timeline::count(const char* name, std::initializer_list<Number> values) {
  if (!trace_) return;
  trace_->write(fmt::format(R"("name":"{}","ph":"C","ts":{:.1f},"args":{{{}}})", name,
                            trace_->microseconds(Clock::now()), members({values.begin(), values.size()})));
}

void Timeline::name_thread(std::string_view name) {
  if (trace_)
    trace_->write(fmt::format(R"("name":"thread_name","ph":"M","args":{{"name":{}}})", json_string(name)));
}

void Timeline::item_begins(std::uint64_t number, std::string_view id) {
  count_item(+1);
  if (!trace_) return;
  trace_->write(fmt::format(R"("cat":"item","name":{},"ph":"b","id":{},"ts":{:.1f})", json_string(id), number,
                            trace_->microseconds(Clock::now())));
}

void Timeline::item_ends(std::uint64_t number, std::string_view id) {
  count_item(-1);
  if (!trace_) return;
  trace_->write(fmt::format(R"("cat":"item","name":{},"ph":"e","id":{},"ts":{:.1f})", json_string(id), number,
                            trace_->microseconds(Clock::now())));
}

void Timeline::count_item(int change) {
  const int now = in_flight_ += change;
  count("items in flight", {{"items", static_cast<double>(now)}});
}

double Timeline::seconds(Stage stage) const {
  return static_cast<double>(of(stage).busy_ns) / 1e9;
}

}  // namespace mmbatch
