#include <CLI/CLI.hpp>

#include "pipeline/commands/commands.h"
#include "pipeline/commands/shared_options.h"
#include "pipeline/inspect/validate.h"
#include "pipeline/run/run.h"

namespace mmbatch {

void add_run_command(CLI::App& program, Action& action) {
  struct State {
    RunOptions run;
    std::string progress = "auto", shard = "0/1", shard_by = "item";
    bool retry_failed = false, fresh = false, quiet = false, verify_model = false, no_image_cache = false,
         no_overlap = false;
    std::size_t image_cache_mib = 1024;
    double item_timeout = 0;
  };
  const auto state = std::make_shared<State>();
  const auto generation = std::make_shared<GenerationOverrides>();
  CLI::App* command = program.add_subcommand("run", "run or resume jobs; results go to a SQLite database");
  command->footer(
      "Example:\n  mmbatch run demo/manifest.yaml --threads 2\n\n"
      "Exit codes: 0 all answered, 1 some items failed, 2 usage or manifest, 3 model or database, 130 "
      "interrupted");
  command->add_option("manifest", state->run.manifests, "manifest files (YAML, or OpenAI batch JSONL)")
      ->required();
  command->add_option("-m,--model", state->run.model, "checkpoint folder, instead of the manifest's");
  command->add_option("-d,--database", state->run.database, "results database, instead of the manifest's");
  command->add_option("-o,--output", state->run.output,
                      "append answers to this file as they are stored, in the form of OpenAI's batch output");
  command->add_option("--media-root", state->run.media_root,
                      "folder that file:// images of batch files must lie in");
  command->add_option("--shard", state->shard,
                      "I/N: run only part I (from 0) of N parts of the items, into a database of its own");
  command
      ->add_option("--shard-by", state->shard_by,
                   "item: parts of equal size; image: all questions about an image in one part")
      ->check(CLI::IsMember({"item", "image"}))
      ->capture_default_str();
  command->add_flag("--retry-failed", state->retry_failed, "take failed items again");
  command->add_flag("--fresh", state->fresh, "compute everything again")->excludes("--retry-failed");
  command->add_flag("--verify-model", state->verify_model,
                    "fingerprint all bytes of the weights, not samples");
  command->add_option("-j,--threads", state->run.threads, "threads (default: one a core)")
      ->check(CLI::Range(1, 1024));
  command->add_option("--max-in-flight", state->run.in_flight,
                      "items between reading and storing (default: 4 x --max-sequences, fewer where image "
                      "features are large)");
  command->add_option("--image-cache", state->image_cache_mib, "MiB of image features kept after use")
      ->capture_default_str();
  command->add_option("--image-batch", state->run.images.batch, "images encoded together at most")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_flag("--no-image-cache", state->no_image_cache, "forget image features after use");
  command->add_flag(
      "--no-overlap", state->no_overlap,
      "decode only when all items in flight are encoded, and encode only when all are answered");
  command->add_flag_function(
      "--no-fusion", [state](std::int64_t) { state->run.fusion = Fusion::off; },
      "query, key and value, gate and up, and what follows a product: each a pass over memory of its own");
  command->add_option("--progress", state->progress, "auto, line, plain or none")->capture_default_str();
  command->add_flag("-q,--quiet", state->quiet, "no progress, no summary");
  command->add_option("--summary-json", state->run.summary_json,
                      "write counts, times and memory to this file");
  command->add_option("--metrics-file", state->run.metrics_file,
                      "keep the run's numbers in this file, in Prometheus' text format");
  command
      ->add_option("--item-timeout", state->item_timeout,
                   "seconds from admission to answer after which an item fails (default: none)")
      ->check(CLI::Range(0.001, 1e6));
  command->add_option("--profile", state->run.profile,
                      "write a Chrome trace of every stage and thread to this file; Perfetto opens it");
  add_precision_option(*command, state->run.precision);
  add_engine_options(*command, state->run.engine);
  add_generation_options(*command, generation);
  command->callback([state, generation, &action] {
    RunOptions& run = state->run;
    run.generation = *generation;
    run.progress = state->quiet ? ProgressStyle::none : progress_style(state->progress);
    run.images.cache_bytes = state->no_image_cache ? 0 : state->image_cache_mib << 20;
    run.item_timeout = std::chrono::milliseconds(static_cast<std::int64_t>(state->item_timeout * 1000));
    run.shard = parse_shard(state->shard);
    run.shard.by = state->shard_by == "image" ? Shard::By::image : Shard::By::item;
    if (state->no_overlap) run.overlap = Overlap::none;
    if (state->retry_failed) run.resume = ResumePolicy::retry_failed;
    if (state->fresh) run.resume = ResumePolicy::fresh;
    if (state->verify_model) run.fingerprint = FingerprintScope::all_bytes;
    action = [state] { return run_manifests(state->run); };
  });
}

void add_validate_command(CLI::App& program, Action& action) {
  const auto options = std::make_shared<ValidateOptions>();
  const auto generation = std::make_shared<GenerationOverrides>();
  CLI::App* command =
      program.add_subcommand("validate", "say what a run would find wrong, without computing anything");
  command->footer("Example:\n  mmbatch validate demo/manifest.yaml --model demo/model");
  command->add_option("manifest", options->manifests, "manifest files")->required();
  command->add_option("-m,--model", options->model,
                      "checkpoint folder: prompt lengths are checked against its limits");
  command->add_option("--media-root", options->media_root,
                      "folder that file:// images of batch files must lie in");
  add_generation_options(*command, generation);
  command->callback([options, generation, &action] {
    options->generation = *generation;
    action = [options] { return validate(*options, std::cout); };
  });
}

}  // namespace mmbatch
