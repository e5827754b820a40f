#include "pipeline/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "pipeline/progress.h"

namespace mmbatch {

RunSummary summarize_run(const Counters& counters, const EncodeImage& images, const EngineStats& engine) {
  RunSummary s;
  s.items = counters.done;
  s.answered = counters.answered;
  s.failed = counters.failed;
  s.resumed = counters.resumed;
  const auto seconds = [](const std::atomic<std::uint64_t>& microseconds) {
    return static_cast<double>(microseconds) / 1e6;
  };
  s.read_seconds = seconds(counters.read_us);
  s.admit_seconds = seconds(counters.admit_us);
  s.text_seconds = seconds(counters.text_us);
  s.store_seconds = seconds(counters.store_us);
  s.preprocess_seconds = images.preprocess_seconds();
  s.encode_seconds = images.encode_seconds();
  s.decode_seconds = engine.busy_seconds;
  s.images_encoded = images.images_encoded();
  s.image_cache_hits = images.cache_hits();
  s.answer_tokens = counters.answer_tokens;
  s.prompt_tokens = counters.prompt_tokens;
  s.prompt_tokens_reused = counters.prompt_tokens_reused;
  s.mean_item_ms =
      s.answered > 0 ? static_cast<double>(counters.item_us) / 1000 / static_cast<double>(s.answered) : 0;
  s.engine = engine;
  s.peak_rss_bytes = peak_resident_bytes();
  return s;
}

std::string to_json(const RunSummary& s) {
  std::vector<std::pair<std::string, std::string>> fields;
  const auto count = [&](const char* name, std::size_t value) {
    fields.emplace_back(name, std::to_string(value));
  };
  const auto real = [&](const char* name, double value) {
    fields.emplace_back(name, fmt::format("{:.6f}", value));
  };
  count("items", s.items);
  count("answered", s.answered);
  count("failed", s.failed);
  count("resumed", s.resumed);
  real("seconds", s.seconds);
  real("load_seconds", s.load_seconds);
  real("read_seconds", s.read_seconds);
  real("admit_seconds", s.admit_seconds);
  real("text_seconds", s.text_seconds);
  real("store_seconds", s.store_seconds);
  real("preprocess_seconds", s.preprocess_seconds);
  real("encode_seconds", s.encode_seconds);
  real("text_encode_seconds", s.text_encode_seconds);
  real("decode_seconds", s.decode_seconds);
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
  count("peak_rss_bytes", s.peak_rss_bytes);
  std::string json = "{";
  for (const auto& [name, value] : fields)
    json += fmt::format("{}\"{}\": {}", json.size() > 1 ? ", " : "", name, value);
  return json + "}";
}

namespace {

struct StageSeconds {
  const char* name;
  double seconds;
  int lanes;  // that can be in it at a time
};

std::vector<StageSeconds> stages_of(const RunSummary& s) {
  return {{"reading", s.read_seconds, 1},
          {"admitting", s.admit_seconds, s.threads},
          {"preprocessing images", s.preprocess_seconds, s.threads},
          {"vision encoder", s.encode_seconds, 1},
          {"tokenizing", s.text_seconds, s.threads},
          {"text encoder", s.text_encode_seconds, 1},
          {"decoding", s.decode_seconds, 1},
          {"storing", s.store_seconds, 1}};
}

}  // namespace

Bottleneck bottleneck(const RunSummary& s) {
  Bottleneck found;
  for (const StageSeconds& stage : stages_of(s)) {
    const double busy = s.seconds > 0 ? stage.seconds / (s.seconds * stage.lanes) : 0;
    if (busy > found.busy) found = {stage.name, busy};
  }
  return found;
}

std::string to_text(const RunSummary& s) {
  std::string text = fmt::format("{} items: {} answered, {} failed", s.items, s.answered, s.failed);
  if (s.resumed > 0) text += fmt::format(", {} answered before", s.resumed);
  text += fmt::format(" in {} ({:.1f} items/s, {:.0f} answer tokens/s)\n", duration_text(s.seconds),
                      s.seconds > 0 ? static_cast<double>(s.answered) / s.seconds : 0,
                      s.seconds > 0 ? static_cast<double>(s.answer_tokens) / s.seconds : 0);
  text += fmt::format("seconds by stage: load {:.2f}", s.load_seconds);
  for (const StageSeconds& stage : stages_of(s)) {
    if (stage.seconds > 0) text += fmt::format(", {} {:.2f}", stage.name, stage.seconds);
  }
  if (const Bottleneck slowest = bottleneck(s); slowest.busy > 0)
    text +=
        fmt::format("; the bottleneck is {}, busy {:.0f} % of the time", slowest.stage, 100 * slowest.busy);
  text += "\n";
  text += fmt::format("images encoded {}, taken from cache {}; prompt tokens {}, of them reused {}\n",
                      s.images_encoded, s.image_cache_hits, s.prompt_tokens, s.prompt_tokens_reused);
  if (s.engine.draft_tokens > 0) {
    text += fmt::format("prompt lookup: {} tokens guessed, {} of them right\n", s.engine.draft_tokens,
                        s.engine.draft_tokens_accepted);
  }
  text += fmt::format("memory: peak {}", bytes_text(s.peak_rss_bytes));
  if (s.engine.kv_bytes_pool == 0) return text;  // no decoder
  return text + fmt::format(", cache {} of {} used at most, of it {} shared",
                            bytes_text(s.engine.kv_bytes_peak), bytes_text(s.engine.kv_bytes_pool),
                            bytes_text(s.engine.kv_bytes_shared_peak));
}

}  // namespace mmbatch
