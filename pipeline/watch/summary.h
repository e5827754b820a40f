#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/serve/engine.h"
#include "pipeline/watch/core_load.h"
#include "pipeline/watch/timeline.h"

namespace mmbatch {

/// What the stages of a run took, and how often they were called.
class StageTimes {
 public:
  struct Entry {
    double seconds = 0;
    std::uint64_t calls = 0, faults = 0;
  };
  StageTimes() = default;
  explicit StageTimes(const Timeline& timeline);
  Entry& operator[](Stage stage) { return entries_[static_cast<std::size_t>(stage)]; }
  const Entry& operator[](Stage stage) const { return entries_[static_cast<std::size_t>(stage)]; }

 private:
  std::array<Entry, kStages.size()> entries_{};
};

/// What a run did and where its time went.
struct RunSummary {
  std::size_t items = 0, answered = 0, failed = 0, resumed = 0;
  double seconds = 0;       // wall clock, without loading
  double load_seconds = 0;  // reading, mapping and packing the model
  int threads = 1;
  StageTimes stages;  // added up over threads
  CoreLoad cores;
  std::size_t images_encoded = 0, image_cache_hits = 0, texts_encoded = 0;
  double mean_item_ms = 0;  // from admission to answer
  std::size_t answer_tokens = 0, prompt_tokens = 0, prompt_tokens_reused = 0;
  EngineStats engine;
  std::size_t peak_rss_bytes = 0;
};

/// The share of the run for which all lanes of a stage were at work; 0 for one that runs inside another.
double busy(const RunSummary& summary, const StageRow& stage);

/// The stage that was at its limit the longest, and for which share of the time: a stage that runs on all
/// threads has as many times the run's seconds.
struct Bottleneck {
  std::string stage;
  double busy = 0;
};
/// None when no stage was at its limit for more than half of the time, as in a run of a few items: each stage
/// waited for others then, and a quicker one would not have helped much.
std::optional<Bottleneck> bottleneck(const RunSummary& summary);

std::string to_json(const RunSummary& summary);
/// A few lines for people.
std::string to_text(const RunSummary& summary);

}  // namespace mmbatch
