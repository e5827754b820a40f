#include "pipeline/dialogue/ask.h"

namespace mmbatch {

void ask(const AskOptions& options, std::ostream& out) {
  Dialogue(options).ask(options.prompt, out);
}

}  // namespace mmbatch
