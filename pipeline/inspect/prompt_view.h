#pragma once

#include <ctime>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/model_place.h"
#include "jobs/item/dialogue/template_variables.h"
#include "jobs/item/item.h"
#include "pipeline/exit_code.h"

namespace mmbatch {

/// A prompt, and what is shown of it: what does the model see, in how many tokens?
struct PromptViewOptions {
  ModelPlace model;

  // One of these.
  std::optional<std::string> text;
  std::filesystem::path messages;  // a JSON file: a list of messages, or an item that has them
  std::filesystem::path manifest;

  // Of a manifest: the first item of this job and id; empty: of any.
  std::string job, id;
  std::filesystem::path media_root;

  // Of the others.
  PromptForm form = PromptForm::turns;  // of a text
  std::vector<std::filesystem::path> images;
  std::string turn_format, system;
  TemplateVariables template_variables;
  std::optional<std::tm> template_time;

  enum class Show { text, tokens };
  Show show = Show::text;
  enum class Style { people, json };
  Style style = Style::people;
};

/// Writes the prompt's text, or its tokens, to `out`, and how many tokens it has: with its text to `notes`.
/// @throws FatalError, ItemError for an item that would fail
ExitCode show_prompt(const PromptViewOptions& options, std::ostream& out, std::ostream& notes);

}  // namespace mmbatch
