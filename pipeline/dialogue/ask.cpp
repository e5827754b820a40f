#include "pipeline/dialogue/ask.h"

namespace mmbatch {

void ask(const AskOptions& options, std::ostream& out, std::ostream& notes) {
  Dialogue(options).ask(options.prompt, out, notes);
}

}  // namespace mmbatch
