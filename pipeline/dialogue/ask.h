#pragma once

#include <iosfwd>
#include <string>

#include "pipeline/dialogue/dialogue.h"
#include "pipeline/exit_code.h"

namespace mmbatch {

/// One question, or one text to continue.
struct AskOptions : DialogueOptions {
  std::string prompt;
};

/// Answers it and writes the text to standard output as it comes, what the model thinks before it to standard
/// error; several answers are written one after the other. An answer that was cut before it fits what it is
/// held to is written, and said on standard error.
/// @return items_failed for such an answer   @throws FatalError, ItemError
ExitCode ask(const AskOptions& options);

}  // namespace mmbatch
