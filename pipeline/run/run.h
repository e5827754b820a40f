#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/generation_config.h"
#include "engine/base/threads.h"
#include "engine/kernels/product/precision_choice.h"
#include "engine/parallel/slices.h"
#include "engine/serve/engine.h"
#include "engine/weights/fingerprint.h"
#include "jobs/item/dialogue/template_variables.h"
#include "jobs/listing/shard.h"
#include "jobs/results/store.h"
#include "pipeline/constraint/setting_files.h"
#include "pipeline/exit_code.h"
#include "pipeline/graph/flow_graph.h"
#include "pipeline/stages/encode_image.h"
#include "pipeline/watch/progress.h"
#include "pipeline/watch/timeline.h"

namespace mmbatch {

/// Pieces of the items that workers take from a folder that they share.
struct PieceOptions {
  std::filesystem::path folder;  // empty: all items are this run's
  std::uint64_t pieces = 0;      // 0: as many as there are, or 128
  Shard::By by = Shard::By::automatic;
  std::string worker;  // empty: default_worker_name()
  std::chrono::milliseconds lease{120'000};
};

/// What the command line says of a run; what it leaves open comes from the manifest.
struct RunOptions {
  // What is run, and by which model.
  std::vector<std::filesystem::path> manifests;
  std::optional<std::filesystem::path> model;
  ModelParts parts;  // of either model; with `model`, those of the manifests do not count
  std::filesystem::path media_root;
  std::optional<TruncatedImages> truncated_images;  // instead of what the manifests say
  ImageBudget image_budget;                         // stronger than what manifests and items say
  TemplateVariables template_variables;             // chat_template_kwargs, stronger than all others
  std::optional<std::tm> template_time;             // instead of the manifests'
  GenerationOverrides generation;
  SettingFiles generation_files;  // that these were read from
  Shard shard;                    // the part of the items that is run
  PieceOptions pieces;            // or pieces of them
  ResumePolicy resume = ResumePolicy::resume;
  FingerprintScope fingerprint = FingerprintScope::samples;
  std::chrono::milliseconds item_timeout{0};  // from admission to answer; 0: none

  // Where it goes. Of the files, an empty path is none.
  std::optional<std::filesystem::path> database;
  std::filesystem::path output;  // answers in the batch output form are appended to it
  std::filesystem::path summary_json;
  std::filesystem::path metrics_file;  // Prometheus' text format, replaced every few seconds
  std::filesystem::path profile;       // a Chrome trace of the run
  ProgressStyle progress = ProgressStyle::automatic;

  // How it is computed; nothing here changes an answer but precision and slices.
  PrecisionWish precision = Automatic::floats;
  /// Slices that the model is cut into; 0: as many as processes that were started together, 4 at least; one
  /// alone computes it whole. Part of what is computed, as the precision is.
  std::size_t tensor_parallel = 0;
  std::shared_ptr<const Slices> slices;  // of this run, set by run_manifests()
  EngineOptions engine;
  EncodeImageOptions images;
  std::size_t image_memory = 0;  // bytes of images in flight; 0: 512 MiB, or 64 MiB per thread
  int threads = 0;               // 0: one per core
  ThreadPlacement placement = ThreadPlacement::anywhere;
  std::size_t in_flight = 0;  // items between reading and storing; 0: four times max_sequences

  // For tests and measurements.
  ResultsStore::Options store;
  RunStages run_stages = run_flow_graph;
  StageHook on_stage;  // called by whatever thread comes to a stage, and when it ends; may be empty
};

/// Runs or resumes all manifests.
/// @throws FatalError for what ends a run: usage, manifest, model, database
ExitCode run_manifests(const RunOptions& options);

}  // namespace mmbatch
