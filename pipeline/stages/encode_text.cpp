#include "pipeline/stages/encode_text.h"

#include <fmt/format.h>

#include "engine/base/error.h"
#include "pipeline/watch/at_stage.h"

namespace mmbatch {
namespace {

TurnFormat format_of(const Job& job, const ModelFiles& files) {
  if (job.turn_format.empty()) {
    if (!files.turn_format_warning.empty() && job.form == PromptForm::turns) {
      throw UsageError(fmt::format("job '{}': {}", job.name, files.turn_format_warning));
    }
    return files.turn_format;
  }
  for (const std::string& name : TurnFormat::names()) {
    if (name == job.turn_format) return TurnFormat::named(name);
  }
  if (job.turn_format.find("{question}") != std::string::npos)
    return TurnFormat::from_pattern(job.turn_format);
  throw UsageError(
      fmt::format("job '{}': turn_format '{}' is neither one of {} nor a pattern with {{question}}", job.name,
                  job.turn_format, TurnFormat::names_text()));
}

void check_not_empty(const Item& item) {
  if (item.messages.empty() && item.prompt.find_first_not_of(" \t\r\n") == std::string::npos) {
    throw ItemError(ErrorCode::prompt_empty, "the question or prompt is empty");
  }
}

Role role_of(const std::string& name) {
  if (name == "system") return Role::system;
  return name == "assistant" ? Role::assistant : Role::user;
}

}  // namespace

EncodeText::EncodeText(const ModelFiles& model, const Manifest& manifest) : prompting_(model) {
  for (const Job& job : manifest.jobs) {
    formats_.push_back(format_of(job, model));
    systems_.push_back(job.system.value_or(""));
  }
}

std::vector<std::int32_t> EncodeText::following_ids(const Item& item) const {
  check_not_empty(item);
  if (item.form == PromptForm::raw) return prompting_.encode_following(item.prompt);
  return prompting_.encode_following(prompting_.render_following(formats_[item.job], item.prompt));
}

std::vector<std::int32_t> EncodeText::ids(const Item& item) const {
  return prompting_.encode(prompt_text(item), item.images.size());
}

std::string EncodeText::prompt_text(const Item& item) const {
  check_not_empty(item);
  if (item.form == PromptForm::raw) return item.prompt;
  std::vector<Message> messages;
  // The item's own system text takes the place of the job's.
  const bool own_system = !item.messages.empty() && item.messages.front().role == "system";
  if (!systems_[item.job].empty() && !own_system) messages.push_back({Role::system, systems_[item.job]});
  if (item.messages.empty()) messages.push_back({Role::user, item.prompt, item.images.size()});
  for (const Item::Message& message : item.messages)
    messages.push_back({role_of(message.role), message.content, message.images});
  return prompting_.render(formats_[item.job], messages);
}

void EncodeText::operator()(Timeline& timeline, const TicketPtr& ticket,
                            const Done<Branch<EncodedText>>& done) const {
  auto tokens = at_stage(timeline, Stage::encode_text, ticket->item->id, [&] { return ids(*ticket->item); });
  if (!tokens) return done(Failed{Stage::encode_text, tokens.error()});
  done(made(EncodedText{.ids = std::move(tokens.value()), .embeddings = {}}));
}

}  // namespace mmbatch
