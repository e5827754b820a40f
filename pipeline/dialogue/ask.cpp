#include "pipeline/dialogue/ask.h"

namespace mmbatch {

void ask(const AskOptions& options, std::ostream& out, std::ostream& notes) {
  Dialogue dialogue(options);
  dialogue.check(dialogue.ask(options.prompt, out, notes));
}

}  // namespace mmbatch
