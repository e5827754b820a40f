#include "pipeline/stages/encode_text.h"

#include <fmt/format.h>

#include "engine/base/error.h"
#include "jobs/item/job_place.h"
#include "pipeline/stages/images/shown_pictures.h"
#include "pipeline/watch/at_stage.h"

namespace mmbatch {
namespace {

void check_not_empty(const Item& item) {
  if (item.messages.empty() && item.prompt.find_first_not_of(" \t\r\n") == std::string::npos) {
    throw ItemError(ErrorCode::prompt_empty, "the question or prompt is empty");
  }
}

}  // namespace

TurnFormat turn_format_of(const Job& job, const Manifest& manifest, const ModelFiles& files) {
  if (job.turn_format.empty() && !files.turn_format_warning.empty() && job.form == PromptForm::turns)
    throw UsageError(place_of(job) + files.turn_format_warning);
  const std::string owner = job.name.empty() ? "--turn-format" : fmt::format("job '{}'", job.name);
  return find_turn_format(files, job.turn_format, manifest.file.parent_path(), owner);
}

std::vector<std::string> idle_variables(const Manifest& manifest, const ModelFiles& files) {
  std::vector<std::string> notes;
  for (const Job& job : manifest.jobs) {
    if (!needs_decoder(job.task)) continue;
    const TurnFormat format = turn_format_of(job, manifest, files);
    for (const auto& [name, value] : merged(job.template_variables, manifest.command_line_variables)) {
      if (format.reads(name) || !format.is_template()) continue;
      notes.push_back(
          fmt::format("{}chat_template_kwargs: the chat template does not read '{}'", place_of(job), name));
    }
  }
  return notes;
}

EncodeText::EncodeText(const ModelFiles& model, const Manifest& manifest, const std::tm& now)
    : spec_(model.spec), prompting_(model), manifest_(manifest), now_(now) {
  for (const Job& job : manifest.jobs) {
    jobs_.push_back({.format = turn_format_of(job, manifest, model), .system = job.system.value_or("")});
  }
}

std::vector<std::int32_t> EncodeText::ids(const Item& item) const {
  return ids(prompt(item), item);
}

std::vector<std::int32_t> EncodeText::ids(const RenderedPrompt& prompt, const Item& item) const {
  return prompting_.encode(prompt, picture_groups(item, spec_).size());
}

std::vector<std::int32_t> EncodeText::following_ids(std::string_view text) const {
  return prompting_.encode_following(text);
}

RenderedPrompt EncodeText::prompt(const Item& item) const {
  check_not_empty(item);
  const auto video = shown_video(item, spec_);
  if (item.form == PromptForm::raw) return {.text = item.prompt, .video = video};
  const OfJob& job = jobs_[item.job];
  std::vector<Message> messages;
  // The item's own system text takes the place of the job's.
  const bool own_system = !item.messages.empty() && item.messages.front().role == "system";
  if (!job.system.empty() && !own_system) messages.push_back({Role::system, job.system});
  if (item.messages.empty()) messages.push_back({Role::user, item.prompt, item.images.size()});
  for (const Item::Message& message : item.messages) {
    messages.push_back({.role = find_role(message.role).value_or(Role::user),
                        .content = message.content,
                        .images = message.images,
                        .parts = message.parts,
                        .other = message.other});
  }
  return prompting_.render(job.format, messages,
                           {.variables = template_variables_of(manifest_, item),
                            .tools = tools_of(manifest_, item),
                            .now = now_,
                            .video = video});
}

void EncodeText::operator()(Timeline& timeline, const TicketPtr& ticket,
                            const Done<Branch<EncodedText>>& done) const {
  auto tokens = at_stage(timeline, Stage::encode_text, ticket->item->id, [&] { return ids(*ticket->item); });
  if (!tokens) return done(Failed{Stage::encode_text, tokens.error()});
  done(made(EncodedText{.ids = std::move(tokens.value()), .embeddings = {}}));
}

}  // namespace mmbatch
