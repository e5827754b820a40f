#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/session.h"
#include "pipeline/run/run.h"

namespace mmbatch::bench {

/// Questions about pictures, as files: what a user would hand in.
struct QuestionSet {
  std::size_t images = 1;
  std::size_t questions_an_image = 1;
  int width = 640, height = 480;
  /// All questions about an image one after the other, or each question about all images in turn.
  enum class Order { by_image, by_question } order = Order::by_image;
};

/// The text of question `number` of any image; each is another one.
std::string question_text(std::size_t number);

/// Writes pictures and a manifest about them into `folder`.  @return the manifest
std::filesystem::path write_questions(const QuestionSet& set, const std::filesystem::path& model,
                                      const std::filesystem::path& folder);

/// What one run said of itself.
struct RunFigures {
  double seconds = 0;
  double computed_prompt_tokens = 0;
  double answer_tokens = 0;
};

/// Tokens of every answer.
constexpr int kAnswerTokens = 8;

/// Runs a manifest end to end, each time with a new database beside it, as `mmbatch run` does; the model is
/// loaded once. Without a first run that warms up.
/// @throws UsageError when an item fails
std::vector<RunFigures> run_questions(const std::filesystem::path& manifest, RunOptions options,
                                      std::size_t times);

/// Options of a run under this session's settings.
RunOptions run_options(Session& session);

}  // namespace mmbatch::bench
