#pragma once

#include <iosfwd>

#include "engine/base/error.h"
#include "pipeline/dialogue/dialogue.h"
#include "pipeline/exit_code.h"

namespace mmbatch {

/// What is written about each turn beside its answer.
enum class TurnReport { none, tokens };

/// Whether somebody sits there and sees a prompt marker.
enum class Listener { program, person };

struct ChatOptions : DialogueOptions {
  TurnReport report = TurnReport::none;
  Listener listener = Listener::program;
};

/// A dialogue, a line of `in` a turn, until its end or `/exit`; answers go to `out` as they come, reports and
/// errors of a turn to `notes`. `/reset` forgets the history, `/help` lists the commands.
/// @return items_failed when a turn had no answer; the dialogue continues without it
/// @throws FatalError, and ItemError for the images
ExitCode chat(const ChatOptions& options, std::istream& in, std::ostream& out, std::ostream& notes);

}  // namespace mmbatch
