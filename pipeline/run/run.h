#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/generation_config.h"
#include "engine/serve/engine.h"
#include "engine/weights/fingerprint.h"
#include "jobs/listing/shard.h"
#include "jobs/results/store.h"
#include "pipeline/exit_code.h"
#include "pipeline/stages/encode_image.h"
#include "pipeline/watch/progress.h"

namespace mmbatch {

/// Whether images are read and encoded while others are decoded; `none` exists to measure what it brings.
enum class Overlap { stages, none };

/// What the command line says of a run; what it leaves open comes from the manifest.
struct RunOptions {
  std::vector<std::filesystem::path> manifests;
  std::optional<std::filesystem::path> model;
  std::optional<std::filesystem::path> database;
  std::filesystem::path media_root;
  GenerationOverrides generation;
  std::optional<Precision> precision;  // none: automatic_precision()
  EngineOptions engine;
  EncodeImageOptions images;
  int threads = 0;            // 0: one a core
  std::size_t in_flight = 0;  // items between reading and storing; 0: four times max_sequences
  Overlap overlap = Overlap::stages;
  ResumePolicy resume = ResumePolicy::resume;
  FingerprintScope fingerprint = FingerprintScope::samples;
  ProgressStyle progress = ProgressStyle::automatic;
  ResultsStore::Options store;
  /// Called by whatever thread comes to a stage, with its name, and by "output" and "stored" when answers
  /// were written; for tests that end the process there. May be empty.
  std::function<void(const char* stage)> on_stage;
  std::filesystem::path summary_json;
  std::filesystem::path metrics_file;  // Prometheus' text format, replaced every few seconds; empty: none
  std::filesystem::path profile;       // a Chrome trace of the run; empty: none
  std::chrono::milliseconds item_timeout{0};  // from admission to answer; 0: none
  Shard shard;                                // the part of the items that is run
  std::filesystem::path output;  // answers in the batch output form are appended to it; empty: none
};

/// Set by the first Ctrl-C or SIGTERM: a run finishes what is in flight, stores it and ends. The second ends
/// the program at once.
extern std::atomic<bool> interrupted;
void handle_interrupts();

/// Runs or resumes all manifests.
/// @throws FatalError for what ends a run: usage, manifest, model, database
ExitCode run_manifests(const RunOptions& options);

}  // namespace mmbatch
