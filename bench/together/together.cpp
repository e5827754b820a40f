#include "bench/together/together.h"

#include <fmt/format.h>

#include <fstream>

#include "bench/report.h"
#include "bench/together/steps.h"
#include "engine/base/error.h"
#include "engine/decoder/sliced/step_message.h"
#include "engine/parallel/launcher.h"

namespace mmbatch::bench {
namespace {

constexpr std::size_t kSlices = 4;

void follow(Session& session, const std::shared_ptr<const Slices>& slices) {
  const ModelFiles files(session.checkpoint(together_model(session)));
  StepFollower follower(load_decoder(session, files, slices));
  for (;;) {
    const std::vector<std::byte> bytes = slices->processes().receive();
    const MessageReader message(bytes);
    if (message.kind() == MessageKind::end) return;
    session.arena().run([&] { follower.follow(message); });
  }
}

}  // namespace

void run_together(const BenchOptions& options, const std::filesystem::path& json) {
  const std::shared_ptr<Communicator> processes = started_together();
  const auto slices = std::make_shared<const Slices>(kSlices, processes);
  Session session(options);
  if (processes->rank() > 0) return follow(session, slices);
  session.begin("processes");
  {
    DecoderSteps steps(session, together_model(session), together_cached(session), slices);
    const std::size_t size = processes->size();
    measure_together(session, steps, fmt::format("{} process{}", size, size == 1 ? "" : "es"));
  }
  processes->send(MessageWriter(MessageKind::end).bytes());
  std::ofstream out(json);
  out << to_json(session.ceilings(), rows_of(session.results(), session.ceilings())) << "\n";
  if (!out.flush()) throw UsageError(fmt::format("{} cannot be written", json.string()));
}

}  // namespace mmbatch::bench
