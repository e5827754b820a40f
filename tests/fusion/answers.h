#pragma once

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/serve/engine.h"
#include "tests/checkers/parity_stages.h"

// Prompts of reference folders, answered by the engine.

namespace mmbatch::testing {

inline constexpr int kAnswerTokens = 12;

using Prompts = std::vector<std::shared_ptr<const Prompt>>;

/// The answer to each prompt; none where it did not fit into the cache.
struct Answers {
  std::vector<std::optional<Answer>> of;
  std::size_t preemptions = 0;
};

inline Answers answer(const Model& model, const Prompts& prompts, const EngineOptions& options,
                      std::size_t at_a_time) {
  Answers answers{.of = std::vector<std::optional<Answer>>(prompts.size())};
  Engine engine(model.decoder(),
                {static_cast<std::size_t>(model.tokenizer().vocab_size()), model.spec().suppressed, {}},
                options);
  for (std::size_t first = 0; first < prompts.size(); first += at_a_time) {
    for (std::size_t i = first; i < std::min(prompts.size(), first + at_a_time); ++i) {
      Request request;
      request.prompt = prompts[i];
      request.generation.max_new_tokens = kAnswerTokens;
      request.generation.logprobs = true;
      request.on_done = [&answers, i](Result<Completion> done) {
        if (done) answers.of[i] = std::move(done.value().answers.front());
      };
      engine.submit(std::move(request));
    }
    while (engine.step()) {
    }
  }
  answers.preemptions = engine.stats().preemptions;
  return answers;
}

/// A case's prompt, its images encoded; null when there is none to continue.
inline std::shared_ptr<const Prompt> prompt_of(const parity::Subject& subject,
                                               const parity::ReferenceCase& one) {
  parity::Report ignored;  // these precisions are not float32's
  const auto prepared = parity::check_prompt(subject, one, ignored);
  return prepared ? prepared->prompt : nullptr;
}

/// The prompts of a reference folder's cases.
inline Prompts prompts_of(const Model& model, const std::filesystem::path& folder) {
  const parity::Reference reference(folder, model.spec().eos, model.spec().image_token);
  Prompts prompts;
  for (const parity::ReferenceCase& one : reference.cases) {
    if (auto prompt = prompt_of({model, reference}, one)) prompts.push_back(std::move(prompt));
  }
  return prompts;
}

/// A reference folder's name as names of tests may be.
inline std::string test_name(const std::filesystem::path& folder) {
  std::string name = folder.filename().string();
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return name;
}

}  // namespace mmbatch::testing
