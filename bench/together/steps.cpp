#include "bench/together/steps.h"

#include <fmt/format.h>

#include <array>

namespace mmbatch::bench {
namespace {

struct Case {
  std::string name;
  std::size_t samples, sequences, first, count;
};

constexpr std::size_t kContext = 128, kMostSequences = 16;

std::size_t prompt_tokens(const Session& session) {
  return session.quick() ? 48 : 512;
}

void measure_one(Session& session, DecoderSteps& steps, const Case& one) {
  const double busy = steps.busy_seconds(), between = steps.decoder().communication_seconds();
  const Timing timing = steps.time(session, one.samples, one.sequences, one.first, one.count);
  const auto tokens = static_cast<double>(one.sequences * one.count);
  session.add({one.name, timing, tokens, "tokens/s", {}});
  const double spent = steps.decoder().communication_seconds() - between;
  if (spent == 0) return;
  const double share = spent / (steps.busy_seconds() - busy);
  const Timing shared = timing.divided_by(1 / share);
  session.add({one.name + ", between them", shared, 100 * share * shared.median, "% of step", {}});
}

}  // namespace

std::string together_model(const Session& session) {
  return session.model("llava-1b");
}

std::size_t together_cached(const Session& session) {
  return std::max(prompt_tokens(session), kMostSequences * (kContext + 32));
}

void measure_together(Session& session, DecoderSteps& steps, const std::string& who) {
  const std::size_t tokens = prompt_tokens(session);
  measure_one(session, steps, {fmt::format("{}, {} tokens", who, tokens), 5, 1, 0, tokens});
  for (const std::size_t sequences : std::array{std::size_t{1}, std::size_t{4}, kMostSequences})
    measure_one(session, steps,
                {fmt::format("{}, x{} at {}", who, sequences, kContext), 7, sequences, kContext, 1});
}

}  // namespace mmbatch::bench
