// A prompt of 32,768 tokens: beside the cache of keys and values it needs memory for the rows of a step, not
// for the square of its length, nor for a matrix of all its positions' logits.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "engine/decoder/cache_layout.h"
#include "tests/engine/serve/engine_harness.h"

namespace mmbatch {
namespace {

constexpr std::size_t kTokens = 32768;

std::size_t peak_bytes() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

TEST(LongPrompt, Of32768TokensRunsInBoundedMemory) {
  const auto decoder = testing::tiny_decoder([](DecoderConfig& config) {
    config.layers.resize(1);
    RopeConfig& rope = *config.layers[0].attention.rope;
    rope.scaling = RopeScaling::yarn;
    rope.original_positions = 8192;
    rope.factor = 8;
    config.max_positions = 65536;
  });
  EngineOptions options;
  options.scheduler.block_tokens = 32;
  options.kv_blocks = kTokens / 32 + 2;
  GenerationConfig generation;
  generation.max_new_tokens = 3;
  generation.ignore_eos = true;

  testing::Harness harness(decoder, options);
  harness.answer({10, 11}, generation);  // whatever is allocated once
  const std::size_t before = peak_bytes();
  EXPECT_EQ(harness.answer(testing::long_prompt(kTokens), generation).answers[0].tokens.size(), 3u);
  const std::size_t cache = kTokens * kv_bytes_per_token(decoder->config());
  // Ids, content keys and blocks' names: some ten words for each token.
  EXPECT_LT(peak_bytes() - before, cache + (std::size_t{24} << 20));
  EXPECT_GE(harness.engine().stats().kv_bytes_peak, cache);
}

}  // namespace
}  // namespace mmbatch
