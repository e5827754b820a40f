#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/generation_config.h"
#include "engine/serve/engine.h"
#include "jobs/item.h"

namespace mmbatch {

/// One question, or one text to go on with, without a manifest or a database.
struct AskOptions {
  std::filesystem::path model;
  Task task = Task::vqa;
  std::string prompt;
  std::vector<std::filesystem::path> images;
  PromptForm form = PromptForm::turns;
  std::string turn_format;  // empty: the model's own
  std::string system;
  GenerationOverrides generation;
  EngineOptions engine;
  int threads = 0;
};

/// Answers it and writes the text to `out` as it comes; several answers are written one after the other.
/// @throws FatalError, ItemError
void ask(const AskOptions& options, std::ostream& out);

}  // namespace mmbatch
