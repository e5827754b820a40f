#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>

#include "bench/inputs/decoder_steps.h"
#include "bench/machine/costs.h"
#include "bench/workload.h"

namespace mmbatch::bench {

namespace {

struct PrefillCase {
  std::string name;
  std::size_t tokens;
};

void measure_prefill(Session& session, DecoderSteps& steps, const PrefillCase& one) {
  const Timing timing = steps.time(session, 5, 1, 0, one.tokens);
  const auto n = static_cast<double>(one.tokens);
  session.add({one.name, timing, n, "tokens/s", decoder_work(steps.config(), prefill_step(1, n), session)});
}

struct DecodeCase {
  std::string name;
  std::size_t sequences, context;
};

void measure_decode(Session& session, DecoderSteps& steps, const DecodeCase& one) {
  const Timing timing = steps.time(session, 7, one.sequences, one.context, 1);
  const auto n = static_cast<double>(one.sequences);
  const DecoderStep step = decode_step(n, static_cast<double>(one.context));
  session.add({one.name, timing, n, "tokens/s", decoder_work(steps.config(), step, session)});
}

}  // namespace

void run_prefill(Session& session) {
  const std::size_t tokens = session.quick() ? 48 : 512;
  DecoderSteps steps(session, session.model("llava-1b"), tokens);
  measure_prefill(session, steps, {session.case_of_model(fmt::format("{} tokens", tokens)), tokens});
}

void run_decode(Session& session) {
  const std::size_t contexts[] = {128, 1024}, batches[] = {1, 4, 8, 16, 32};
  const auto used_contexts = session.quick() ? std::span(contexts).first(1) : std::span(contexts);
  const auto used_batches = session.quick() ? std::span(batches).first(2) : std::span(batches);
  // Sequences begin at a block, and one token is added.
  DecoderSteps steps(session, session.model("llava-1b"), used_batches.back() * (used_contexts.back() + 32));
  for (const std::size_t context : used_contexts) {
    for (const std::size_t batch : used_batches)
      measure_decode(session, steps,
                     {session.case_of_model(fmt::format("x{} at {}", batch, context)), batch, context});
  }
}

void run_experts(Session& session) {
  const std::size_t tokens = session.quick() ? 48 : 512, context = 128, most = 16;
  DecoderSteps steps(session, session.quick() ? "moe-tiny" : "moe-1b",
                     std::max(tokens, most * (context + 32)));
  measure_prefill(session, steps, {fmt::format("prefill, {} tokens", tokens), tokens});
  for (const std::size_t batch : {std::size_t{1}, std::size_t{4}, most})
    measure_decode(session, steps, {fmt::format("decode x{} at {}", batch, context), batch, context});
}

void run_long_prefill(Session& session) {
  // A part of a long prompt, as chunked prefill computes it, behind what it looks back to.
  const std::size_t chunk = session.quick() ? 32 : 512;
  const std::size_t contexts[] = {session.quick() ? 64u : 8192u, session.quick() ? 96u : 32256u};
  DecoderSteps steps(session, session.model("qwen3-0.6b"), contexts[1] + chunk);
  for (const std::size_t context : contexts) {
    const Timing timing = steps.time(session, 3, 1, context, chunk);
    const auto n = static_cast<double>(chunk), before = static_cast<double>(context);
    const DecoderStep step{
        .rows = n, .attended = n * before + n * (n + 1) / 2, .cached = before + n, .logit_rows = 1};
    session.add({session.case_of_model(fmt::format("{} tokens at {}", chunk, context)), timing, n, "tokens/s",
                 decoder_work(steps.config(), step, session)});
  }
}

}  // namespace mmbatch::bench
