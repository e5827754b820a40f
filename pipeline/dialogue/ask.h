#pragma once

#include <iosfwd>
#include <string>

#include "pipeline/dialogue/dialogue.h"

namespace mmbatch {

/// One question, or one text to continue.
struct AskOptions : DialogueOptions {
  std::string prompt;
};

/// Answers it and writes the text to `out` as it comes; several answers are written one after the other.
/// @throws FatalError, ItemError
void ask(const AskOptions& options, std::ostream& out);

}  // namespace mmbatch
