#include "pipeline/watch/metrics_file.h"

#include <fmt/format.h>

#include <chrono>

#include "engine/base/output/output_file.h"
#include "pipeline/watch/progress.h"

namespace mmbatch {
namespace {

constexpr std::chrono::seconds kInterval{3};

class Text {
 public:
  void family(const char* name, const char* type, const char* help) {
    name_ = name;
    text_ += fmt::format("# HELP mmbatch_{0} {2}\n# TYPE mmbatch_{0} {1}\n", name, type, help);
  }
  template <class Number>
  void value(Number number, const std::string& labels = "") {
    text_ += fmt::format("mmbatch_{}{} {}\n", name_, labels.empty() ? "" : "{" + labels + "}", number);
  }
  template <class Number>
  void single(const char* name, const char* type, const char* help, Number number) {
    family(name, type, help);
    value(number);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string name_, text_;
};

}  // namespace

std::string prometheus_text(const RunSummary& s, std::optional<std::uint64_t> total, RunPhase phase) {
  Text text;
  text.single("running", "gauge", "Whether the run goes on.", phase == RunPhase::running ? 1 : 0);
  if (total) text.single("items", "gauge", "Items of the manifest.", *total);
  text.family("items_done_total", "counter", "Items by outcome.");
  text.value(s.answered, "outcome=\"answered\"");
  text.value(s.failed, "outcome=\"failed\"");
  text.value(s.resumed, "outcome=\"answered_before\"");
  text.single("run_seconds_total", "counter", "Wall clock, without loading the model.", s.seconds);
  const auto by_stage = [&](auto number) {
    for (const StageRow& row : kStages)
      text.value(number(s.stages[row.stage]), fmt::format("stage=\"{}\"", row.key));
  };
  text.family("stage_seconds_total", "counter", "Time in a stage, added up over threads.");
  by_stage([](const StageTimes::Entry& stage) { return stage.seconds; });
  text.family("stage_calls_total", "counter", "How often a stage was called.");
  by_stage([](const StageTimes::Entry& stage) { return stage.calls; });
  text.family("stage_faults_total", "counter", "Calls of a stage that failed.");
  by_stage([](const StageTimes::Entry& stage) { return stage.faults; });
  text.single("answer_tokens_total", "counter", "Tokens generated.", s.answer_tokens);
  text.single("prompt_tokens_total", "counter", "Tokens of prompts.", s.prompt_tokens);
  text.single("prompt_tokens_reused_total", "counter", "Of them, found in the cache.",
              s.prompt_tokens_reused);
  text.single("images_encoded_total", "counter", "Images encoded.", s.images_encoded);
  text.single("image_cache_hits_total", "counter", "Images taken from the cache.", s.image_cache_hits);
  text.single("engine_steps_total", "counter", "Steps of the engine.", s.engine.steps);
  text.single("preemptions_total", "counter", "Sequences that were set back for want of cache.",
              s.engine.preemptions);
  text.single("kv_pool_bytes", "gauge", "Size of the cache of keys and values.", s.engine.kv_bytes_pool);
  text.single("kv_peak_bytes", "gauge", "Of it, used at most.", s.engine.kv_bytes_peak);
  text.single("resident_bytes", "gauge", "Memory of the process.", resident_bytes());
  return text.take();
}

bool MetricsFile::is_due() const {
  return !file_.empty() && (!written_ || Clock::now() - *written_ >= kInterval);
}

void MetricsFile::write(const std::string& text) {
  if (file_.empty()) return;
  written_ = Clock::now();
  OutputFile out(file_, "--metrics-file");
  out.stream() << text;
  out.commit();
}

}  // namespace mmbatch
