#include "pipeline/dialogue/ask.h"

#include <fmt/format.h>
#include <unistd.h>

#include "engine/base/output/message.h"
#include "engine/base/output/output_stream.h"

namespace mmbatch {

ExitCode ask(const AskOptions& options) {
  OutputStream out(Audience::programs);
  OutputStream notes(STDERR_FILENO, "standard error", Audience::people);
  Dialogue dialogue(options);
  const auto fault = dialogue.fault(dialogue.ask(options.prompt, out, notes));
  out.finish();
  if (!fault) return ExitCode::ok;
  say(fmt::format("mmbatch: {}: {}", fault->code_name(), fault->message));
  return ExitCode::items_failed;
}

}  // namespace mmbatch
