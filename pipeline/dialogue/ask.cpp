#include "pipeline/dialogue/ask.h"

#include <fmt/format.h>
#include <unistd.h>

#include "engine/base/output/message.h"
#include "engine/base/output/output_stream.h"
#include "jobs/text/text_width.h"

namespace mmbatch {

ExitCode ask(const AskOptions& options) {
  // As in a listing. A text that is sent as it stands may be white space.
  if (options.form == PromptForm::turns && stripped(options.prompt).empty())
    throw UsageError("the question is empty");
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
