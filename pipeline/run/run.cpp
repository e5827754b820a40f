#include "pipeline/run/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <utility>

#include "engine/base/output/message.h"
#include "engine/base/sha256.h"
#include "engine/base/threads.h"
#include "engine/parallel/launcher.h"
#include "jobs/manifest/manifest.h"
#include "jobs/manifest/setting_notes.h"
#include "jobs/pieces/piece_folder.h"
#include "jobs/text/clock.h"
#include "pipeline/constraint/constraints.h"
#include "pipeline/documents/parts_counter.h"
#include "pipeline/run/describe.h"
#include "pipeline/run/interrupt.h"
#include "pipeline/run/loaded_model.h"
#include "pipeline/run/outputs.h"
#include "pipeline/run/run_files.h"
#include "pipeline/run/run_items.h"
#include "pipeline/run/together.h"

namespace mmbatch {
namespace {

/// The database of this run's part of the items.
std::filesystem::path part_name(const std::filesystem::path& file, const RunOptions& options) {
  if (options.pieces.folder.empty()) return options.shard.named(file);
  std::filesystem::path name = file;
  return name.replace_filename(
      fmt::format("{}.{}{}", file.stem().string(), options.pieces.worker, file.extension().string()));
}

PlannedRun plan(const std::filesystem::path& file, const RunOptions& options) {
  Manifest manifest = read_manifest(file, {.media_root = options.media_root,
                                           .truncated_images = options.truncated_images,
                                           .image_budget = options.image_budget,
                                           .template_variables = options.template_variables,
                                           .template_time = options.template_time,
                                           .count_parts = parts_counter()});
  const auto model = options.model ? options.model : manifest.model;
  auto database = options.database;
  if (!database && manifest.database) database = part_name(*manifest.database, options);
  const std::string name = manifest.file.string();
  if (!model)
    throw UsageError(fmt::format("{}: no model: give `model:` in the manifest, or --model DIR", name));
  if (!database)
    throw UsageError(
        fmt::format("{}: no database: give `database:` in the manifest, or --database FILE", name));
  // What a manifest puts to its model does not go with another one.
  ModelParts parts = options.model ? ModelParts() : manifest.parts;
  if (!options.parts.projector.empty()) parts.projector = options.parts.projector;
  if (!options.parts.adapters.empty()) parts.adapters = options.parts.adapters;
  return {std::move(manifest), {*model, std::move(parts)}, *database};
}

/// Before the first of several manifests is run, the later ones are looked at, too.
void check_together(const RunOptions& options) {
  if (options.manifests.size() == 1) return;
  std::vector<PlannedRun> runs;
  for (const auto& file : options.manifests) {
    runs.push_back(plan(file, options));
    for (Job& job : runs.back().manifest.jobs) job.source.in_manifest.reset();  // they may be many
  }
  check_outputs(options, runs);
}

/// Everything that can be wrong with the jobs themselves, before any weights are read.
void check_settings(const Manifest& manifest, const GenerationSurroundings& around,
                    const SettingFiles& files) {
  const SettingsOfJobs settings(manifest, around);
  for (std::size_t job = 0; job < manifest.jobs.size(); ++job) settings.of_job(job);
  for (const std::string& warning : check_constraints(manifest, around.command_line, files)) say(warning);
}

void warn_of_four_bits(const Model& model) {
  if (head_precision(model.precision()) == model.precision()) return;
  say(fmt::format(
      "{}: four bits per weight change the answers of many models; what they do to this one is told by\n"
      "  mmbatch quantize CHECKPOINT --weights {} --report --manifest MANIFEST",
      to_string(model.precision()), to_string(model.precision())));
}

void say_how_parts_are_made(const Shard& shard, const Manifest& manifest) {
  if (shard.is_all() || shard.by != Shard::By::automatic || !has_images(manifest)) return;
  say("--shard: all items of an image are in one part, which encodes it once; --shard-by item makes parts of "
      "equal size");
}

/// The same options as the results store takes, with its commits on the timeline.
ResultsStore::Options store_options(const RunOptions& options, Timeline& timeline) {
  ResultsStore::Options store = options.store;
  store.on_commit = [&timeline](std::size_t items, Timeline::Clock::time_point begin) {
    const std::array numbers{Timeline::Number{"items", static_cast<double>(items)}};
    timeline.add(Stage::commit, begin, numbers);
  };
  return store;
}

/// Runs the items; a run that a fault ends is recorded as failed, or, before its first item, as if it had not
/// begun.
RunSummary run_recorded(const RunContext& context, const std::filesystem::path& database, std::int64_t run,
                        RunFiles& files) {
  try {
    files.open_output(database, run);
    return run_items(context, files);
  } catch (...) {
    try {
      if (!context.results.withdraw_run()) context.results.finish_run(RunStatus::failed, "{}");
    } catch (const std::exception&) {
      // The database may be what failed; then the next run says of this one that it was interrupted.
    }
    throw;
  }
}

/// What chat templates are told that ask for the time.
std::tm template_time(const Manifest& manifest, const ResultsStore& results) {
  if (manifest.template_time) return *manifest.template_time;
  return read_time(results.first_started()).value_or(std::tm{});
}

/// The folder that this worker takes its pieces from; null: there is none.
std::unique_ptr<PieceFolder> open_pieces(const Manifest& manifest, const RunInfo& info,
                                         const RunOptions& options) {
  const PieceOptions& pieces = options.pieces;
  if (pieces.folder.empty()) return nullptr;
  auto folder = std::make_unique<PieceFolder>(pieces.folder, pieces.worker, pieces.lease);
  Sha256 work;
  work.field(manifest.file.filename().string()).field(info.model.fingerprint).field(info.model.precision);
  folder->lay_out({.pieces = pieces.pieces,
                   .by = pieces.by,
                   .items = count_items(manifest),
                   .work = work.field(info.settings).hex()});
  return folder;
}

ExitCode run_manifest(const std::filesystem::path& file, const RunOptions& options, LoadedModel& loaded,
                      Arena& arena) {
  const PlannedRun planned = plan(file, options);
  const Manifest& manifest = planned.manifest;
  check_outputs(options, {&planned, 1});
  if (options.model && manifest.parts != ModelParts())
    say(fmt::format("{}: its mmproj and lora are of its own model; they do not count with --model",
                    manifest.file.string()));
  check_settings(manifest, {read_generation_config(FolderFiles(planned.model.model)), options.generation},
                 options.generation_files);
  Timeline timeline(options.profile, options.on_stage);
  const Model& model = loaded.in(planned.model, manifest, options, arena);
  if (options.progress != ProgressStyle::none) {
    warn_of_four_bits(model);
    if (options.precision == PrecisionWish(Automatic::int8_too))
      say(fmt::format("--precision auto-int8: {}; {}", to_string(model.precision()),
                      loaded.precision_reason()));
    say_how_parts_are_made(options.shard, manifest);
    for (const std::string& note : idle_variables(manifest, model.files())) say(note);
    for (const std::string& note : setting_notes(manifest, {model.files().generation, options.generation}))
      say(note);
  }

  const ModelIdentity identity{.fingerprint = model.files().weights->fingerprint(options.fingerprint),
                               .precision = computed_in(model, options)};
  const auto results = ResultsStore::open_or_create(planned.database, store_options(options, timeline));
  const RunInfo info = describe_run(manifest, options, model, identity.fingerprint, arena);
  const auto pieces = open_pieces(manifest, info, options);
  const std::int64_t run = results->begin_run(info, options.resume);
  RunFiles files(options, timeline);
  RunSummary summary = run_recorded({.manifest = manifest,
                                     .options = options,
                                     .model = model,
                                     .identity = identity,
                                     .results = *results,
                                     .timeline = timeline,
                                     .arena = arena,
                                     .now = template_time(manifest, *results),
                                     .pieces = pieces.get()},
                                    planned.database, run, files);
  summary.load_seconds = loaded.seconds();
  results->finish_run(interrupted ? RunStatus::interrupted : RunStatus::finished, to_json(summary));
  files.end_run(summary);
  if (interrupted && options.progress != ProgressStyle::none)
    say("interrupted: what was answered is kept, and the same command goes on from there");
  if (summary.failed > 0 && options.progress != ProgressStyle::none)
    say(fmt::format("why items failed: mmbatch query {} failures", planned.database.string()));
  if (interrupted) return ExitCode::interrupted;
  return summary.failed > 0 ? ExitCode::items_failed : ExitCode::ok;
}

/// Files that one manifest fills.
void check_files(const RunOptions& options) {
  for (const auto& [option, file] : {std::pair("--output", options.output),
                                     {"--profile", options.profile},
                                     {"--summary-json", options.summary_json},
                                     {"--shards-from", options.pieces.folder}}) {
    if (file.empty() || options.manifests.size() == 1) continue;
    throw UsageError(
        fmt::format("{} takes what comes of one manifest: run the manifests one by one", option));
  }
}

}  // namespace

ExitCode run_manifests(const RunOptions& given) {
  RunOptions options = given;
  const std::shared_ptr<Communicator> processes =
      computes_together(options) ? started_together() : no_others();
  if (options.threads == 0 && processes->size() > 1) options.threads = threads_beside(*processes);
  if (options.placement == ThreadPlacement::pinned && processes->size() > 1)
    throw UsageError(
        "--pin-threads: mpirun's --bind-to says on which cores processes that compute together run");
  Arena arena(options.threads, options.placement);
  if (processes->rank() > 0) {
    follow(processes, arena);
    return ExitCode::ok;
  }
  const Leader leader(*processes);
  options.slices = slices_for(options, processes);
  if (options.pieces.worker.empty()) options.pieces.worker = default_worker_name();
  check_worker_name(options.pieces.worker);  // before it is part of a database's name
  options.engine.validate();
  check_files(options);
  check_named_files(options);
  check_together(options);
  handle_interrupts();
  LoadedModel loaded;
  ExitCode code = ExitCode::ok;
  for (const auto& manifest : options.manifests) {
    code = std::max(code, run_manifest(manifest, options, loaded, arena));
    if (interrupted) break;
  }
  return code;
}

}  // namespace mmbatch
