#include "pipeline/watch/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "pipeline/watch/progress.h"

namespace mmbatch {

namespace {

struct StageSeconds {
  const char* key;
  const char* name;  // for people
  double seconds;
  int lanes;  // that can be in it at a time

  /// The part of the run for which all its lanes were at work.
  double busy(const RunSummary& s) const { return s.seconds > 0 ? seconds / (s.seconds * lanes) : 0; }
};

std::vector<StageSeconds> stages_of(const RunSummary& s) {
  return {{"read", "reading", s.read_seconds, 1},
          {"admit", "admitting", s.admit_seconds, s.threads},
          {"preprocess", "preprocessing images", s.preprocess_seconds, s.threads},
          {"encode", "vision encoder", s.encode_seconds, 1},
          {"text", "tokenizing", s.text_seconds, s.threads},
          {"text_encode", "text encoder", s.text_encode_seconds, 1},
          {"fuse", "fusing", s.fuse_seconds, s.threads},
          {"decode", "decoding", s.decode_seconds, 1},
          {"store", "storing", s.store_seconds, 1}};
}

}  // namespace

RunSummary summarize_run(const Counters& counters, const EncodeImage& images, const EngineStats& engine,
                         const Timeline& timeline) {
  RunSummary s;
  s.items = counters.done;
  s.answered = counters.answered;
  s.failed = counters.failed;
  s.resumed = counters.resumed;
  s.read_seconds = timeline.seconds(Activity::read);
  s.admit_seconds = timeline.seconds(Activity::admit);
  s.preprocess_seconds = timeline.seconds(Activity::preprocess);
  s.encode_seconds = timeline.seconds(Activity::encode_image);
  s.text_seconds = timeline.seconds(Activity::encode_text);
  s.text_encode_seconds = timeline.seconds(Activity::embed_text);
  s.fuse_seconds = timeline.seconds(Activity::fuse);
  s.decode_seconds = timeline.seconds(Activity::decode);
  s.store_seconds = timeline.seconds(Activity::store);
  s.commit_seconds = timeline.seconds(Activity::commit);
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
  const auto real = [&](const std::string& name, double value) {
    fields.emplace_back(name, fmt::format("{:.6f}", value));
  };
  count("items", s.items);
  count("answered", s.answered);
  count("failed", s.failed);
  count("resumed", s.resumed);
  real("seconds", s.seconds);
  real("load_seconds", s.load_seconds);
  for (const StageSeconds& stage : stages_of(s)) real(stage.key + std::string("_seconds"), stage.seconds);
  for (const StageSeconds& stage : stages_of(s)) real(stage.key + std::string("_busy"), stage.busy(s));
  real("commit_seconds", s.commit_seconds);
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
  count("peak_rss_bytes", s.peak_rss_bytes);
  std::string json = "{";
  for (const auto& [name, value] : fields)
    json += fmt::format("{}\"{}\": {}", json.size() > 1 ? ", " : "", name, value);
  return json + "}";
}

std::optional<Bottleneck> bottleneck(const RunSummary& s) {
  constexpr double kMost = 0.5;
  std::optional<Bottleneck> found;
  for (const StageSeconds& stage : stages_of(s)) {
    if (stage.busy(s) > (found ? found->busy : kMost)) found = Bottleneck{stage.name, stage.busy(s)};
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
    if (stage.seconds >= 0.005) text += fmt::format(", {} {:.2f}", stage.name, stage.seconds);
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
