#include "pipeline/run/run.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <fstream>
#include <memory>

#include "engine/base/threads.h"
#include "engine/kernels/matmul.h"
#include "fusion/model.h"
#include "jobs/batch/batch_output.h"
#include "jobs/listing/item_reader.h"
#include "jobs/manifest/manifest.h"
#include "jobs/text/json_text.h"
#include "pipeline/commands/version.h"
#include "pipeline/graph/flow_graph.h"
#include "pipeline/graph/timed_stages.h"
#include "pipeline/graph/waves.h"
#include "pipeline/run/tasks.h"
#include "pipeline/stages/store.h"
#include "pipeline/watch/metrics_file.h"
#include "pipeline/watch/summary.h"

namespace mmbatch {

std::atomic<bool> interrupted{false};

void handle_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) {
    if (interrupted.exchange(true)) ::_exit(static_cast<int>(ExitCode::interrupted));
  };
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

namespace {

std::string machine_name() {
  utsname name{};
  ::uname(&name);
  return fmt::format("{} {} ({})", name.nodename, name.machine, simd().name);
}

/// The loaded model, kept from manifest to manifest.
struct Loaded {
  std::shared_ptr<const Model> model;
  std::filesystem::path folder;
  double seconds = 0;
};

/// Everything that can be wrong with the jobs themselves, before any weights are read.
void check_settings(const Manifest& manifest, const GenerationSurroundings& around) {
  for (const Job& job : manifest.jobs) generation_of(manifest, job, around);
}

void load(Loaded& loaded, const std::filesystem::path& folder, const Manifest& manifest,
          const RunOptions& options, Arena& arena) {
  if (loaded.model && loaded.folder == folder) return check_tasks(manifest, loaded.model->files());
  const auto begin = Clock::now();
  loaded.model.reset();
  const auto files = std::make_shared<const ModelFiles>(folder);
  check_tasks(manifest, *files);
  arena.run([&] {
    const Precision chosen = options.precision.value_or(automatic_precision(*files));
    loaded.model = std::make_shared<const Model>(files, chosen);
  });
  loaded.folder = folder;
  loaded.seconds = milliseconds_since(begin) / 1000;
}

void warn_of_four_bits(const Model& model) {
  if (head_precision(model.precision()) == model.precision()) return;
  fmt::print(stderr,
             "{}: four bits a weight change answers of many models; what they do to this one is told by\n"
             "  mmbatch quantize CHECKPOINT --weights {} --report --manifest MANIFEST\n",
             to_string(model.precision()), to_string(model.precision()));
}

std::string settings_json(const Manifest& manifest, const GenerationOverrides& command_line) {
  GenerationConfig settings;
  apply(settings, manifest.generation);
  apply(settings, command_line);
  return fmt::format(R"({{"generation":{}}})", to_json(settings));
}

RunInfo describe(const Manifest& manifest, const RunOptions& options, const Model& model,
                 const std::string& fingerprint, const Arena& arena) {
  RunInfo info;
  info.manifest = manifest.file.string();
  info.model = {std::filesystem::absolute(model.files().folder).string(), fingerprint, model.spec().family,
                precision_text(model.precision(), options.engine.kv_precision),
                fmt::format(R"({{"bytes":{}}})", model.bytes())};
  info.settings = settings_json(manifest, options.generation);
  info.environment =
      fmt::format(R"({{"threads":{},"matmul":{},"simd":{}}})", arena.threads(),
                  json_string(matmul_kernel_name(model.precision())), json_string(simd().name));
  info.version = kVersion;
  info.machine = machine_name();
  info.jobs = manifest.jobs;
  return info;
}

/// Items between reading and storing: enough to fill every step, but no more than their images' features may
/// take (as much again as the feature cache).
std::size_t default_in_flight(const RunOptions& options, const Model& model) {
  const std::size_t wanted = 4 * options.engine.scheduler.max_sequences;
  if (model.images() == nullptr) return wanted;
  const VisionSpec& vision = *model.spec().vision;
  std::size_t tiles = 1;
  for (const GridPinpoint& pinpoint : vision.pinpoints) {
    const auto side = static_cast<int>(vision.encoder.image_size);
    tiles = std::max(tiles, 1 + static_cast<std::size_t>(pinpoint.width / side * (pinpoint.height / side)));
  }
  const std::size_t bytes = tiles * vision.tokens() * model.spec().width() * sizeof(float);
  const std::size_t affordable = (std::size_t{1} << 30) / bytes;
  return std::clamp<std::size_t>(affordable, std::min<std::size_t>(16, wanted), wanted);
}

/// One graph for all items, or one after the other for waves of them.
void run_graphs(FlowStages stages, std::size_t in_flight, Overlap overlap) {
  if (overlap == Overlap::stages) return run_flow_graph(stages, in_flight, interrupted);
  Waves waves(in_flight, interrupted, stages.read, stages.decode);
  const std::atomic<bool> never{false};
  stages.read = [&] { return waves.read(); };
  stages.end_reading = [&] { waves.end(); };
  stages.fuse = [&waves, fuse = stages.fuse](const ImagesEncoded& images, const TextEncoded& text) {
    try {
      auto fused = fuse(images, text);
      if (std::holds_alternative<Outcome>(fused)) waves.pass();
      return fused;
    } catch (...) {
      waves.pass();
      throw;
    }
  };
  stages.decode = [&](Fused fused, Decode::Done done) { waves.decode(std::move(fused), std::move(done)); };
  do {
    run_flow_graph(stages, in_flight, never);
  } while (waves.next());
}

RunStatus status_of(bool was_interrupted) {
  return was_interrupted ? RunStatus::interrupted : RunStatus::finished;
}

/// The files beside the database. What one of them lacks is no reason to leave the others out: all are ended,
/// and then the first failure is thrown.
class FileFailures {
 public:
  template <class Work>
  void attempt(Work&& work) {
    try {
      work();
    } catch (...) {
      if (!first_) first_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::exception_ptr first_;
};

/// Where outcomes go, and what is noted of the way there.
struct Sinks {
  ResultsStore& results;
  BatchOutput* output;  // may be null
  Timeline& timeline;
  FileFailures& failures;
};

RunSummary run_items(const Manifest& manifest, const RunOptions& options, const Model& model,
                     const ModelIdentity& identity, const Sinks& sinks, Arena& arena) {
  ResultsStore& results = sinks.results;
  Timeline& timeline = sinks.timeline;
  EncodeImage encode_image(model, options.images, timeline);
  std::optional<EncodeText> encode_text;  // with a decoder
  std::optional<Decode> decode;
  std::optional<EmbedText> embed_text;  // with a dual encoder
  if (model.decoder() != nullptr) {
    encode_text.emplace(model.files(), manifest);
    decode.emplace(model, options.engine, arena, timeline);
  } else {
    embed_text.emplace(model, timeline);
  }
  Fuse fuse(model);
  Counters counters;
  Store store(model, results, counters);
  Admit admit(model, manifest, options.generation, identity, results,
              {options.images.media, options.item_timeout});
  const auto reader = only_shard(open_items(manifest), options.shard);

  const auto at = [&](const char* stage) {
    if (options.on_stage) options.on_stage(stage);
  };
  const auto write_output = [&](void (BatchOutput::*write)()) {
    if (sinks.output == nullptr) return;
    (sinks.output->*write)();
    at("output");
  };

  FlowStages stages;
  stages.read = [&] {
    at("read");
    return reader->next();
  };
  stages.admit = [&](ReadItem item) {
    at("admit");
    return admit(std::move(item));
  };
  stages.encode_image = [&](Ticket ticket, EncodeImage::Done done) {
    at("encode_image");
    encode_image(std::move(ticket), std::move(done));
  };
  stages.encode_text = [&](Ticket ticket, EmbedText::Done done) {
    at("encode_text");
    if (embed_text) return (*embed_text)(ticket, std::move(done));
    const auto begin = Clock::now();
    TextEncoded text = (*encode_text)(ticket);
    timeline.add(Activity::encode_text, begin, {}, ticket->item->id);
    done(std::move(text));
  };
  stages.fuse = [&](const ImagesEncoded& images, const TextEncoded& text) {
    at("fuse");
    return fuse(images, text);
  };
  stages.decode = [&](Fused fused, Decode::Done done) {
    at("decode");
    (*decode)(std::move(fused), std::move(done));
  };
  stages.store = [&](const Outcome& outcome) {
    at("store");
    store(outcome);
    at("stored");
  };

  stages = timed(std::move(stages), timeline);

  const auto begin = Clock::now();
  const ThreadTimes threads_before = ThreadTimes::now();
  const auto summarize = [&] {
    RunSummary summary =
        summarize_run(counters, encode_image, decode ? decode->stats() : EngineStats{}, timeline);
    if (embed_text) summary.texts_encoded = embed_text->texts_encoded();
    summary.seconds = milliseconds_since(begin) / 1000;
    summary.threads = arena.threads();
    summary.cores = core_load(threads_before, summary.seconds, arena.threads());
    return summary;
  };
  MetricsFile metrics(options.metrics_file);
  std::optional<std::uint64_t> total;
  const std::size_t in_flight = options.in_flight > 0 ? options.in_flight : default_in_flight(options, model);
  {
    const bool shown = options.progress != ProgressStyle::none || !options.metrics_file.empty();
    if (shown && options.shard.is_all()) total = count_items(manifest);
    const Progress progress(counters, total, options.progress, [&] {
      // What fails here fails again when the run ends, and is told then: a failed flush fails all that is
      // stored after it; the output goes on where it was; the metrics are written once more.
      FileFailures for_now;
      for_now.attempt([&] { results.flush_if_due(); });
      for_now.attempt([&] { write_output(&BatchOutput::append); });
      for_now.attempt([&] {
        if (metrics.is_due()) metrics.write(prometheus_text(summarize(), total, RunPhase::running));
      });
    });
    arena.run([&] { run_graphs(stages, in_flight, options.overlap); });
  }
  results.flush();
  sinks.failures.attempt([&] { write_output(&BatchOutput::finish); });
  const RunSummary summary = summarize();
  sinks.failures.attempt([&] { metrics.write(prometheus_text(summary, total, RunPhase::ended)); });
  return summary;
}

void write_summary(const std::filesystem::path& file, const RunSummary& summary) {
  if (file.empty()) return;
  std::ofstream out(file);
  out << to_json(summary) << "\n";
  if (!out.flush()) throw UsageError(fmt::format("--summary-json: {} cannot be written", file.string()));
}

ExitCode run_manifest(const std::filesystem::path& file, const RunOptions& options, Loaded& loaded,
                      Arena& arena) {
  const Manifest manifest = read_manifest(file, {options.media_root});
  const auto model_folder = options.model ? options.model : manifest.model;
  auto database = options.database;
  if (!database && manifest.database) database = options.shard.named(*manifest.database);
  if (!model_folder)
    throw UsageError(
        fmt::format("{}: no model: give `model:` in the manifest, or --model DIR", file.string()));
  if (!database) {
    throw UsageError(
        fmt::format("{}: no database: give `database:` in the manifest, or --database FILE", file.string()));
  }
  check_settings(manifest, {read_generation_config(*model_folder), options.generation});
  Timeline timeline(options.profile);
  load(loaded, *model_folder, manifest, options, arena);
  const Model& model = *loaded.model;
  if (options.progress != ProgressStyle::none) warn_of_four_bits(model);

  const ModelIdentity identity{model.files().weights->fingerprint(options.fingerprint),
                               precision_text(model.precision(), options.engine.kv_precision)};
  ResultsStore::Options store_options = options.store;
  store_options.on_commit = [&timeline](std::size_t items, Timeline::Clock::time_point begin) {
    timeline.add(Activity::commit, begin, {{"items", static_cast<double>(items)}});
  };
  const auto results = ResultsStore::open_or_create(*database, store_options);
  const std::int64_t run =
      results->begin_run(describe(manifest, options, model, identity.fingerprint, arena), options.resume);
  std::optional<BatchOutput> output;
  if (!options.output.empty())
    output.emplace(options.output, BatchOutput::Options{*database, run, options.resume});
  FileFailures failures;
  const Sinks sinks{*results, output ? &*output : nullptr, timeline, failures};
  RunSummary summary;
  try {
    summary = run_items(manifest, options, model, identity, sinks, arena);
  } catch (const FatalError&) {
    // The database may be what failed; then the next run says of this one that it was interrupted.
    FileFailures known;
    known.attempt([&] { results->finish_run(RunStatus::failed, "{}"); });
    throw;
  }
  summary.load_seconds = loaded.seconds;
  results->finish_run(status_of(interrupted), to_json(summary));
  failures.attempt([&] { timeline.finish(); });
  failures.attempt([&] { write_summary(options.summary_json, summary); });
  if (options.progress != ProgressStyle::none) fmt::print(stderr, "{}\n", to_text(summary));
  failures.rethrow();
  if (interrupted) return ExitCode::interrupted;
  return summary.failed > 0 ? ExitCode::items_failed : ExitCode::ok;
}

}  // namespace

ExitCode run_manifests(const RunOptions& options) {
  options.engine.validate();
  for (const auto& [option, file] : {std::pair("--output", options.output),
                                     {"--profile", options.profile},
                                     {"--summary-json", options.summary_json}}) {
    if (file.empty() || options.manifests.size() == 1) continue;
    throw UsageError(
        fmt::format("{} takes what comes of one manifest: run the manifests one by one", option));
  }
  handle_interrupts();
  Arena arena(options.threads);
  Loaded loaded;
  ExitCode code = ExitCode::ok;
  for (const auto& manifest : options.manifests) {
    code = std::max(code, run_manifest(manifest, options, loaded, arena));
    if (interrupted) break;
  }
  return code;
}

}  // namespace mmbatch
