#include <CLI/CLI.hpp>

#include "engine/base/machine/numa.h"
#include "pipeline/commands/commands.h"
#include "pipeline/commands/options/engine_options.h"
#include "pipeline/commands/options/generation_options.h"
#include "pipeline/commands/options/image_options.h"
#include "pipeline/commands/options/model_options.h"
#include "pipeline/commands/options/template_options.h"
#include "pipeline/commands/options/values.h"
#include "pipeline/run/run.h"

namespace mmbatch {
namespace {

/// Which of the machine's nodes memory comes from.
enum class MemoryNodes { as_the_system_does, all_in_turn };

struct RunCommand {
  RunOptions run;
  GenerationOverrides generation;
  std::string shard = "0/1";
  std::size_t image_cache_mib = 1024;
  double item_timeout = 0;  // seconds
  double lease = 120;       // seconds
  CLI::Option *shard_by = nullptr, *shard_given = nullptr;
  MemoryNodes memory_nodes = MemoryNodes::as_the_system_does;
};

void add_files(CLI::App& command, RunOptions& run) {
  command.add_option("manifest", run.manifests, "manifest files (YAML, or OpenAI batch JSONL)")
      ->required()
      ->check(not_empty())
      ->type_name("FILE");
  command
      .add_option("-m,--model", run.model, "checkpoint folder, GGUF file, or name, instead of the manifest's")
      ->check(not_empty())
      ->type_name("DIR");
  add_model_parts(command, run.parts);
  command.add_option("-d,--database", run.database, "results database, instead of the manifest's")
      ->check(not_empty())
      ->type_name("FILE");
  command
      .add_option("-o,--output", run.output,
                  "append answers to this file as they are stored, in the form of OpenAI's batch output")
      ->check(not_empty())
      ->type_name("FILE");
  command.add_option("--media-root", run.media_root, "folder that file:// images of batch files must lie in")
      ->check(not_empty())
      ->type_name("DIR");
  command.add_option("--summary-json", run.summary_json, "write counts, times and memory to this file")
      ->check(not_empty())
      ->type_name("FILE");
  command
      .add_option("--metrics-file", run.metrics_file,
                  "keep the run's numbers in this file, in Prometheus' text format")
      ->check(not_empty())
      ->type_name("FILE");
  command
      .add_option("--profile", run.profile,
                  "write a Chrome trace of every stage and thread to this file; Perfetto opens it")
      ->check(not_empty())
      ->type_name("FILE");
}

void add_choice_of_items(CLI::App& command, RunCommand& state) {
  RunOptions& run = state.run;
  CLI::Option* shard =
      command
          .add_option("--shard", state.shard,
                      "run only part I (from 0) of N parts of the items, into a database of its own")
          ->type_name("I/N");
  state.shard_given = shard;
  state.shard_by = add_choice(
      command,
      {"--shard-by",
       "all items of an image in one part, or parts of equal size; auto: by image where there are images"},
      run.shard.by, {{"auto", Shard::By::automatic}, {"item", Shard::By::item}, {"image", Shard::By::image}});
  CLI::Option* from = command
                          .add_option("--shards-from", run.pieces.folder,
                                      "take pieces of the items from this folder, which workers share, until "
                                      "none is left; made by the first")
                          ->check(not_empty())
                          ->excludes(shard)
                          ->type_name("DIR");
  command.add_option("--shards", run.pieces.pieces, "pieces to make where there are none yet (default: 128)")
      ->check(whole_number(1, 1'000'000))
      ->needs(from)
      ->type_name("N");
  command
      .add_option("--worker", run.pieces.worker,
                  "this worker's name, in its pieces and its database (default: host and process number)")
      ->check(not_empty())
      ->needs(from)
      ->type_name("NAME");
  command
      .add_option("--lease", state.lease, "after so long without a sign of its worker, a piece is another's")
      ->check(number(0.1, 1e6))
      ->needs(from)
      ->type_name("SECONDS")
      ->capture_default_str();
  CLI::Option* retry = command.add_flag_callback(
      "--retry-failed", [&run] { run.resume = ResumePolicy::retry_failed; }, "compute failed items again");
  retry->excludes(from);
  command
      .add_flag_callback(
          "--fresh", [&run] { run.resume = ResumePolicy::fresh; }, "compute everything again")
      ->excludes(retry)
      ->excludes(from);
  command.add_flag_callback(
      "--verify-model", [&run] { run.fingerprint = FingerprintScope::all_bytes; },
      "fingerprint all bytes of the weights, not samples");
  command
      .add_option("--item-timeout", state.item_timeout,
                  "seconds from admission to answer after which an item fails (default: none)")
      ->check(number(0.001, 1e6))
      ->type_name("SECONDS");
}

void add_flow(CLI::App& command, RunCommand& state) {
  RunOptions& run = state.run;
  add_threads_option(command, run.threads);
  add_choice(command,
             {"--numa",
              "interleave: memory on all nodes of a machine with several, in turn; off: where the system "
              "puts it"},
             state.memory_nodes,
             {{"off", MemoryNodes::as_the_system_does}, {"interleave", MemoryNodes::all_in_turn}});
  command.add_flag_callback(
      "--pin-threads", [&run] { run.placement = ThreadPlacement::pinned; },
      "each thread on a core of its own, of those that the process may use");
  command
      .add_option("--max-in-flight", run.in_flight,
                  "items between reading and storing (default: 4 x --max-sequences, fewer where image "
                  "features are large)")
      ->check(whole_number(1))
      ->type_name("N");
  CLI::Option* cache =
      command.add_option("--image-cache", state.image_cache_mib, "MiB of image features kept after use")
          ->check(whole_number(0, std::int64_t{1} << 30))
          ->type_name("MIB")
          ->capture_default_str();
  add_truncated_images_option(
      command, run.truncated_images,
      "images whose pixels are not all there: they fail their items, or are taken as far as they go");
  command
      .add_flag_callback(
          "--no-image-cache", [&state] { state.image_cache_mib = 0; }, "do not keep image features after use")
      ->excludes(cache);
  command.add_option("--image-batch", run.images.batch, "images encoded together at most")
      ->check(whole_number(1, 1024))
      ->type_name("N")
      ->capture_default_str();
}

}  // namespace

void add_run_command(CLI::App& program, Action& action) {
  const auto state = std::make_shared<RunCommand>();
  // Shares the command's state, so that it lives as long.
  const std::shared_ptr<GenerationOverrides> generation(state, &state->generation);
  RunOptions& run = state->run;
  CLI::App* command = program.add_subcommand("run", "run or resume jobs; results go to a SQLite database");
  command->footer(
      "Example:\n  mmbatch run demo/manifest.yaml --threads 2\n\n"
      "Exit codes: 0 all answered, 1 some items failed, 2 usage or manifest, 3 model or database, 130 "
      "interrupted");
  add_files(*command, run);
  add_choice_of_items(*command, *state);
  add_flow(*command, *state);
  add_choice(*command, {"--progress", "how progress is shown; none: no summary either, as --quiet"},
             run.progress,
             {{"auto", ProgressStyle::automatic},
              {"line", ProgressStyle::line},
              {"plain", ProgressStyle::plain},
              {"none", ProgressStyle::none}});
  CLI::Option* quiet = command->add_flag("-q,--quiet")->description("no progress, no summary");
  add_precision_option(*command, run.precision);
  command
      ->add_option(
          "--tensor-parallel", run.tensor_parallel,
          "slices that the model is cut into for processes that mpirun starts; answers depend on it, "
          "not on the number of processes (default: 4 where there are several)")
      ->check(whole_number(1, 64))
      ->type_name("N");
  add_engine_options(*command, run.engine);
  add_image_options(*command, run.image_budget);
  add_template_variables_option(*command, state->run.template_variables);
  add_template_time_option(*command, state->run.template_time);
  add_generation_options(*command, generation,
                         std::shared_ptr<SettingFiles>(state, &state->run.generation_files));
  command->callback([state, quiet, &action] {
    RunOptions& run = state->run;
    run.generation = state->generation;
    if (quiet->count() > 0) run.progress = ProgressStyle::none;
    run.images.cache_bytes = state->image_cache_mib << 20;
    run.item_timeout = std::chrono::milliseconds(static_cast<std::int64_t>(state->item_timeout * 1000));
    const Shard::By by = run.shard.by;
    run.shard = parse_shard(state->shard);
    run.shard.by = by;
    run.pieces.by = by;
    run.pieces.lease = std::chrono::milliseconds(static_cast<std::int64_t>(state->lease * 1000));
    if (state->shard_by->count() > 0 && state->shard_given->count() == 0 && run.pieces.folder.empty())
      throw UsageError(
          "--shard-by: is about --shard and --shards-from, and would change nothing without one");
    action = [state] {
      if (state->memory_nodes == MemoryNodes::all_in_turn) interleave_memory();
      return run_manifests(state->run);
    };
  });
}

}  // namespace mmbatch
