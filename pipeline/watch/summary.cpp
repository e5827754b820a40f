#include "pipeline/watch/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/base/text/counted.h"
#include "pipeline/watch/progress.h"

namespace mmbatch {

StageTimes::StageTimes(const Timeline& timeline) {
  for (const StageRow& row : kStages)
    (*this)[row.stage] = {timeline.seconds(row.stage), timeline.calls(row.stage), timeline.faults(row.stage)};
}

double busy(const RunSummary& s, const StageRow& stage) {
  if (s.seconds <= 0 || stage.lanes == Lanes::inside) return 0;
  return s.stages[stage.stage].seconds / (s.seconds * (stage.lanes == Lanes::all ? s.threads : 1));
}

std::string to_json(const RunSummary& s) {
  std::vector<std::pair<std::string, std::string>> fields;
  const auto count = [&](const char* name, std::size_t value) {
    fields.emplace_back(name, std::to_string(value));
  };
  const auto real = [&](const std::string& name, double value) {
    fields.emplace_back(name, fmt::format("{:.6f}", value));
  };
  count("items", s.items);
  count("answered", s.answered);
  count("failed", s.failed);
  count("resumed", s.resumed);
  real("seconds", s.seconds);
  real("load_seconds", s.load_seconds);
  for (const StageRow& stage : kStages) {
    real(fmt::format("{}_seconds", stage.key), s.stages[stage.stage].seconds);
    if (stage.lanes != Lanes::inside) real(fmt::format("{}_busy", stage.key), busy(s, stage));
  }
  const auto slowest = bottleneck(s);
  fields.emplace_back("bottleneck", slowest ? '"' + slowest->stage + '"' : "null");
  real("cpu_seconds", s.cores.cpu_seconds);
  real("cores_busy", s.cores.busy);
  fields.emplace_back("thread_busy", fmt::format("[{:.3f}]", fmt::join(s.cores.threads, ", ")));
  real("mean_item_ms", s.mean_item_ms);
  count("images_encoded", s.images_encoded);
  count("image_cache_hits", s.image_cache_hits);
  count("texts_encoded", s.texts_encoded);
  count("prompt_tokens", s.prompt_tokens);
  count("prompt_tokens_reused", s.prompt_tokens_reused);
  count("answer_tokens", s.answer_tokens);
  count("steps", s.engine.steps);
  count("computed_rows", s.engine.computed_rows);
  count("preemptions", s.engine.preemptions);
  count("evictions", s.engine.evictions);
  count("kv_bytes_pool", s.engine.kv_bytes_pool);
  count("kv_bytes_peak", s.engine.kv_bytes_peak);
  count("kv_bytes_shared_peak", s.engine.kv_bytes_shared_peak);
  count("draft_tokens", s.engine.draft_tokens);
  count("draft_tokens_accepted", s.engine.draft_tokens_accepted);
  real("communication_seconds", s.engine.communication_seconds);
  count("peak_rss_bytes", s.peak_rss_bytes);
  std::string json = "{";
  for (const auto& [name, value] : fields)
    json += fmt::format("{}\"{}\": {}", json.size() > 1 ? ", " : "", name, value);
  return json + "}";
}

std::optional<Bottleneck> bottleneck(const RunSummary& s) {
  constexpr double kMost = 0.5;
  std::optional<Bottleneck> found;
  for (const StageRow& stage : kStages) {
    if (busy(s, stage) > (found ? found->busy : kMost))
      found = Bottleneck{std::string(stage.name), busy(s, stage)};
  }
  return found;
}

std::string to_text(const RunSummary& s) {
  std::string text =
      fmt::format("{}: {} answered, {} failed", counted(s.items, "item"), s.answered, s.failed);
  if (s.resumed > 0) text += fmt::format(", {} answered before", s.resumed);
  text += fmt::format(" in {} ({:.1f} items/s, {:.0f} answer tokens/s)\n", duration_text(s.seconds),
                      s.seconds > 0 ? static_cast<double>(s.answered) / s.seconds : 0,
                      s.seconds > 0 ? static_cast<double>(s.answer_tokens) / s.seconds : 0);
  text += fmt::format("seconds by stage: load {:.2f}", s.load_seconds);
  for (const StageRow& stage : kStages) {
    const double seconds = s.stages[stage.stage].seconds;
    if (seconds >= 0.005 && stage.lanes != Lanes::inside)
      text += fmt::format(", {} {:.2f}", stage.name, seconds);
  }
  if (const auto slowest = bottleneck(s))
    text +=
        fmt::format("; the bottleneck is {}, busy {:.0f} % of the time", slowest->stage, 100 * slowest->busy);
  else
    text += "; no stage was busy most of the time";
  text += fmt::format("; cores {:.0f} %\n", s.cores.busy * 100);
  text += fmt::format("images encoded {}, taken from cache {}; prompt tokens {}, of them reused {}\n",
                      s.images_encoded, s.image_cache_hits, s.prompt_tokens, s.prompt_tokens_reused);
  if (s.engine.draft_tokens > 0) {
    text += fmt::format("prompt lookup: {} guessed, {} of them right\n",
                        counted(s.engine.draft_tokens, "token"), s.engine.draft_tokens_accepted);
  }
  if (s.engine.communication_seconds > 0) {
    text += fmt::format("between processes: {:.2f} s of {:.2f} s that the engine worked\n",
                        s.engine.communication_seconds, s.engine.busy_seconds);
  }
  text += fmt::format("memory: peak {}", bytes_text(s.peak_rss_bytes));
  if (s.engine.kv_bytes_pool == 0) return text;  // no decoder
  return text + fmt::format(", cache {} of {} used at most, of it {} shared",
                            bytes_text(s.engine.kv_bytes_peak), bytes_text(s.engine.kv_bytes_pool),
                            bytes_text(s.engine.kv_bytes_shared_peak));
}

}  // namespace mmbatch
