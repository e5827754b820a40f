#include <fmt/format.h>

#include "bench/inputs/decoder_steps.h"
#include "bench/machine/costs.h"
#include "bench/workload.h"

namespace mmbatch::bench {

void run_prefill(Session& session) {
  const std::size_t tokens = session.quick() ? 48 : 512;
  DecoderSteps steps(session, session.model("llava-1b"), tokens);
  const Timing timing = steps.time(session, 5, 1, 0, tokens);
  const auto n = static_cast<double>(tokens);
  session.add({session.case_of_model(fmt::format("{} tokens", tokens)), timing, n, "tokens/s",
               decoder_work(steps.config(), prefill_step(1, n), session)});
}

void run_decode(Session& session) {
  const std::size_t contexts[] = {128, 1024}, batches[] = {1, 4, 8, 16, 32};
  const auto used_contexts = session.quick() ? std::span(contexts).first(1) : std::span(contexts);
  const auto used_batches = session.quick() ? std::span(batches).first(2) : std::span(batches);
  // Sequences begin at a block, and one token is added.
  DecoderSteps steps(session, session.model("llava-1b"), used_batches.back() * (used_contexts.back() + 32));
  for (const std::size_t context : used_contexts) {
    for (const std::size_t batch : used_batches) {
      const Timing timing = steps.time(session, 7, batch, context, 1);
      const auto n = static_cast<double>(batch);
      const DecoderStep step = decode_step(n, static_cast<double>(context));
      session.add({session.case_of_model(fmt::format("x{} at {}", batch, context)), timing, n, "tokens/s",
                   decoder_work(steps.config(), step, session)});
    }
  }
}

}  // namespace mmbatch::bench
