#include "pipeline/run/run_items.h"

#include <algorithm>
#include <exception>

#include "pipeline/run/interrupt.h"
#include "pipeline/watch/core_load.h"

namespace mmbatch {
namespace {

/// Items between reading and storing: enough to fill every step, but no more than their images' features may
/// take (as much again as the feature cache).
std::size_t default_in_flight(const RunOptions& options, const Model& model) {
  const std::size_t wanted = 4 * options.engine.scheduler.max_sequences;
  if (model.images() == nullptr) return wanted;
  // Where images are of any size, a full screen stands for them: few are as large as a model allows.
  const ImagePreparation& images = *model.files().images;
  const std::size_t rows = std::min(images.most_tokens(), images.tokens(1920, 1080));
  const std::size_t bytes = rows * model.spec().width() * sizeof(float);
  const std::size_t affordable = (std::size_t{1} << 30) / bytes;
  return std::clamp<std::size_t>(affordable, std::min<std::size_t>(16, wanted), wanted);
}

/// Runs what there is; of pieces, until all are done, by whomever.
void run_all(StageSet& stages, const RunContext& context, std::size_t in_flight) {
  do {
    context.arena.run([&] { context.options.run_stages(stages.flow(), in_flight, interrupted); });
  } while (stages.pieces() != nullptr && stages.pieces()->wait() && !interrupted);
}

/// A failed flush fails all that is stored after it, and so ends the run elsewhere.
void flush_if_due(ResultsStore& results, PieceReader* pieces) {
  try {
    results.flush_if_due();
    if (pieces != nullptr) pieces->tend();
  } catch (const std::exception&) {
  }
}

}  // namespace

RunSummary run_items(const RunContext& context, RunFiles& files) {
  const RunOptions& options = context.options;
  StageSet stages(context);
  const auto begin = Clock::now();
  const ThreadTimes threads_before = ThreadTimes::now();
  const auto summarize = [&] {
    RunSummary summary = stages.summary();
    summary.seconds = milliseconds_since(begin) / 1000;
    summary.threads = context.arena.threads();
    summary.cores = core_load(threads_before, summary.seconds, summary.threads);
    return summary;
  };
  std::optional<std::uint64_t> total;
  const bool shown = options.progress != ProgressStyle::none || !options.metrics_file.empty();
  if (shown && options.shard.is_all() && context.pieces == nullptr) total = count_items(context.manifest);
  const std::size_t in_flight =
      options.in_flight > 0 ? options.in_flight : default_in_flight(options, context.model);
  {
    const Progress progress(stages.counters(), total, options.progress, [&] {
      flush_if_due(context.results, stages.pieces());
      files.go_on(summarize, total);
    });
    run_all(stages, context, in_flight);
  }
  stages.settle();
  context.results.flush();
  RunSummary summary = summarize();
  files.end_items(summary, total);
  return summary;
}

}  // namespace mmbatch
