#include <fmt/format.h>

#include <memory>
#include <optional>

#include "bench/machine/memory.h"
#include "bench/workload.h"
#include "fusion/model.h"
#include "pipeline/inspect/model_memory.h"

namespace mmbatch::bench {
namespace {

/// A model as a run holds it.
struct Loaded {
  std::optional<ImageStage> images;
  std::optional<Decoder> decoder;

  void load(const ModelFiles& files, Precision precision) {
    const Weights weights(*files.weights, precision);
    if (files.spec.vision) images.emplace(weights, *files.spec.vision);
    decoder.emplace(weights, files.spec.decoder, files.spec.decoder_names);
  }
};

}  // namespace

void run_load(Session& session) {
  const std::filesystem::path folder = session.checkpoint(session.model("llava-1b"));
  const Precision precision = session.options().precision;
  const auto computed = [&] {
    const ModelFiles files(folder);
    return static_cast<double>(weight_bytes(*files.weights, files.spec, precision));
  }();
  // First, before memory that was held once is there to be held again.
  const auto before = static_cast<double>(resident_bytes());
  double read = 0;
  {
    const ModelFiles files(folder);
    for (const WeightFile& file : files.weights->files()) read += static_cast<double>(file.bytes);
    Loaded loaded;
    session.arena().run([&] { loaded.load(files, precision); });
    session.say(memory_text(static_cast<double>(resident_bytes()) - before, computed));
  }
  const Timing timing = session.time(3, [&] {
    const ModelFiles files(folder);
    Loaded().load(files, precision);
  });
  session.add({session.case_of_model("files in the page cache"), timing, read / 1e9, "GB/s",
               Work{.operations = 0, .bytes = read + computed}});
}

}  // namespace mmbatch::bench
