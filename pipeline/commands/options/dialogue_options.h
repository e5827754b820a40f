#pragma once

#include <memory>

#include "pipeline/commands/commands.h"
#include "pipeline/dialogue/dialogue.h"

namespace mmbatch {

/// The options that ask, generate and chat share. When the command is chosen, `work` becomes the action.
void add_dialogue_options(CLI::App& command, Action& action, const std::shared_ptr<DialogueOptions>& options,
                          Action work);

}  // namespace mmbatch
