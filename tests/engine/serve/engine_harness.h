#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "engine/base/threads.h"
#include "engine/serve/engine.h"
#include "tests/engine/tiny_decoder.h"

namespace mmbatch::testing {

/// The vocabulary of tiny_decoder()'s tests: the last rows are padding, one token is a placeholder.
inline Vocabulary tiny_vocabulary() {
  return {58, {2}, {5, 9}};
}

inline EngineOptions small_cache() {
  EngineOptions options;
  options.kv_blocks = 64;
  options.scheduler.block_tokens = 16;
  return options;
}

/// Hands requests in and runs the engine until all are done.
class Harness {
 public:
  explicit Harness(std::shared_ptr<const Decoder> decoder, EngineOptions options = small_cache(),
                   Vocabulary vocabulary = tiny_vocabulary())
      : engine_(std::move(decoder), std::move(vocabulary), options) {}

  Engine& engine() { return engine_; }

  /// The place where the answer will be.
  std::shared_ptr<std::optional<Result<Completion>>> submit(Request request) {
    auto done = std::make_shared<std::optional<Result<Completion>>>();
    request.on_done = [done](Result<Completion> completion) {
      if (done->has_value()) throw std::logic_error("done twice");
      *done = std::move(completion);
    };
    engine_.submit(std::move(request));
    return done;
  }
  void run() {
    for (int steps = 0; engine_.step(); ++steps) {
      if (steps > 100000) throw std::logic_error("does not end");
    }
    EXPECT_TRUE(engine_.idle());
    EXPECT_EQ(engine_.stats().kv_bytes_used, 0u);
  }
  Result<Completion> answer(Request request) {
    const auto done = submit(std::move(request));
    run();
    return done->value();
  }
  Completion answer(std::vector<std::int32_t> ids, const GenerationConfig& generation) {
    Request request;
    request.prompt = prompt_of(std::move(ids));
    request.generation = generation;
    Result<Completion> result = answer(std::move(request));
    if (!result) throw std::runtime_error(result.error().message);
    return std::move(result.value());
  }

 private:
  Engine engine_;
};

/// Logits behind prompt and answer, computed anew.
inline std::vector<float> logits_behind(const Decoder& decoder, std::vector<std::int32_t> prompt,
                                        const std::vector<std::int32_t>& answer) {
  prompt.insert(prompt.end(), answer.begin(), answer.end());
  const Matrix<float> logits = logits_in_one_piece(decoder, *prompt_of(prompt));
  const float* last = logits.row(logits.rows() - 1);
  return {last, last + logits.cols()};
}

/// A prompt of this many tokens, in which a stretch of 40 repeats.
inline std::vector<std::int32_t> long_prompt(std::size_t tokens) {
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i < tokens; ++i) ids.push_back(static_cast<std::int32_t>(10 + i * 7 % 40));
  return ids;
}

}  // namespace mmbatch::testing
