#pragma once

#include <ctime>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/generation_config.h"
#include "engine/base/image/image_budget.h"
#include "engine/base/model_place.h"
#include "jobs/item/dialogue/template_variables.h"
#include "pipeline/constraint/setting_files.h"
#include "pipeline/exit_code.h"

namespace mmbatch {

struct ValidateOptions {
  std::vector<std::filesystem::path> manifests;
  std::optional<ModelPlace> model;  // count prompt tokens against its limits too
  std::filesystem::path media_root;
  ImageBudget image_budget;
  GenerationOverrides generation;
  TemplateVariables template_variables;  // chat_template_kwargs, stronger than all others
  std::optional<std::tm> template_time;  // instead of the manifests'
  SettingFiles generation_files;         // that options of `generation` name
};

/// Writes a line for everything that a run would find wrong, without computing anything: settings, items,
/// images (their headers), and with a model the lengths of prompts.
/// @return items_failed when an item would fail  @throws FatalError for what would end a run
ExitCode validate(const ValidateOptions& options, std::ostream& out);

}  // namespace mmbatch
