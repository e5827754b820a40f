#include "pipeline/run/run_files.h"

#include "engine/base/output/message.h"
#include "engine/base/output/output_file.h"
#include "pipeline/watch/at_stage.h"

namespace mmbatch {

RunFiles::RunFiles(const RunOptions& options, Timeline& timeline)
    : options_(options), timeline_(timeline), metrics_(options.metrics_file) {}

void RunFiles::open_output(const std::filesystem::path& database, std::int64_t run) {
  if (options_.output.empty()) return;
  output_.emplace(options_.output,
                  BatchOutput::Options{.database = database, .run = run, .policy = options_.resume});
}

void RunFiles::append_output() {
  if (output_) or_end_run(at_stage(timeline_, Stage::output, {}, [&] { output_->append(); }));
}

void RunFiles::end_items(const RunSummary& summary, std::optional<std::uint64_t> total) {
  attempt([&] {
    if (output_) or_end_run(at_stage(timeline_, Stage::output, {}, [&] { output_->finish(); }));
  });
  attempt([&] { metrics_.write(prometheus_text(summary, total, RunPhase::ended)); });
}

void RunFiles::end_run(const RunSummary& summary) {
  attempt([&] { timeline_.finish(); });
  attempt([&] { write_summary(summary); });
  if (options_.progress != ProgressStyle::none) say(to_text(summary));
  if (first_failure_) std::rethrow_exception(first_failure_);
}

void RunFiles::write_summary(const RunSummary& summary) const {
  if (options_.summary_json.empty()) return;
  OutputFile out(options_.summary_json, "--summary-json");
  out.stream() << to_json(summary) << "\n";
  out.commit();
}

}  // namespace mmbatch
