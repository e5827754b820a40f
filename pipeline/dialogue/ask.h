#pragma once

#include <iosfwd>
#include <string>

#include "pipeline/dialogue/dialogue.h"

namespace mmbatch {

/// One question, or one text to continue.
struct AskOptions : DialogueOptions {
  std::string prompt;
};

/// Answers it and writes the text to `out` as it comes, what the model thinks before it to `notes`; several
/// answers are written one after the other.
/// @throws FatalError, ItemError
void ask(const AskOptions& options, std::ostream& out, std::ostream& notes);

}  // namespace mmbatch
