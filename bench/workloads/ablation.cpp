#include <algorithm>
#include <functional>
#include <vector>

#include "bench/inputs/scratch_folder.h"
#include "bench/runs.h"
#include "bench/waves.h"
#include "bench/workload.h"

namespace mmbatch::bench {
namespace {

/// One optimisation less.
struct Variant {
  const char* name;
  void (*change)(RunOptions&);
};

constexpr Variant kVariants[] = {
    {"as it is", [](RunOptions&) {}},
    {"no batching", [](RunOptions& run) { run.engine.scheduler.max_sequences = 1; }},
    {"no prefix sharing", [](RunOptions& run) { run.engine.scheduler.prefix_sharing = false; }},
    {"no image cache", [](RunOptions& run) { run.images.cache_bytes = 0; }},
    {"images encoded one by one", [](RunOptions& run) { run.images.batch = 1; }},
    {"no flash attention", [](RunOptions& run) { run.engine.attention = AttentionKernel::naive; }},
    {"no overlap", [](RunOptions& run) { run.run_stages = run_in_waves; }},
    {"no small numbers (f32)",
     [](RunOptions& run) {
       run.precision = Precision::f32;
       run.engine.kv_precision = KvPrecision::f32;
     }},
};

}  // namespace

void run_ablation(Session& session) {
  QuestionSet set;
  set.images = session.quick() ? 3 : 40;
  set.questions_an_image = session.quick() ? 2 : 3;
  // An image comes back when it is no longer in flight: then the cache counts.
  set.order = QuestionSet::Order::by_question;
  const ScratchFolder folder(session.options().scratch);
  const auto manifest =
      write_questions(set, session.checkpoint(session.quick() ? "llava-tiny" : "llava-small"), folder.path());

  const std::size_t repeats = session.options().repeat > 0 ? session.options().repeat
                              : session.quick()            ? 1
                                                           : 3;
  std::vector<std::vector<double>> seconds(std::size(kVariants));
  // In turn, so that a busy stretch of the machine meets all of them; the first round warms up.
  for (std::size_t round = 0; round <= repeats; ++round) {
    for (std::size_t v = 0; v < std::size(kVariants); ++v) {
      RunOptions options = run_options(session);
      options.in_flight = 24;
      kVariants[v].change(options);
      const double taken = run_questions(manifest, options, 1).front().seconds;
      if (round > 0) seconds[v].push_back(taken);
    }
  }
  const auto items = static_cast<double>(set.images * set.questions_an_image);
  for (std::size_t v = 0; v < std::size(kVariants); ++v)
    session.add({kVariants[v].name, timing_of(seconds[v]), items, "items/s", {}});
}

}  // namespace mmbatch::bench
