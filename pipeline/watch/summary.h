#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "engine/serve/engine.h"
#include "pipeline/stages/encode_image.h"
#include "pipeline/watch/core_load.h"
#include "pipeline/watch/counters.h"
#include "pipeline/watch/timeline.h"

namespace mmbatch {

/// What a run did and where its time went.
struct RunSummary {
  std::size_t items = 0, answered = 0, failed = 0, resumed = 0;
  double seconds = 0;       // wall clock, without loading
  double load_seconds = 0;  // reading, mapping and packing the model
  int threads = 1;
  double read_seconds = 0;         // in reading the listing
  double admit_seconds = 0;        // hashing images and looking up what is known, added up over threads
  double text_seconds = 0;         // in turn formats and tokenizer, added up over threads
  double store_seconds = 0;        // in writing results
  double preprocess_seconds = 0;   // reading, decoding and resizing images, added up over threads
  double encode_seconds = 0;       // in the vision encoder
  double text_encode_seconds = 0;  // in a dual encoder's text encoder
  double fuse_seconds = 0;         // in putting images and texts together, added up over threads
  double decode_seconds = 0;       // in the engine's steps
  double commit_seconds = 0;       // in the database's commits; most of it is in store_seconds too
  CoreLoad cores;
  std::size_t images_encoded = 0, image_cache_hits = 0, texts_encoded = 0;
  double mean_item_ms = 0;  // from admission to answer
  std::size_t answer_tokens = 0, prompt_tokens = 0, prompt_tokens_reused = 0;
  EngineStats engine;
  std::size_t peak_rss_bytes = 0;
};

RunSummary summarize_run(const Counters& counters, const EncodeImage& images, const EngineStats& engine,
                         const Timeline& timeline);
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
