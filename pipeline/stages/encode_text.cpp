#include "pipeline/stages/encode_text.h"

#include <fmt/format.h>

#include "engine/base/error.h"

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

EncodeText::EncodeText(const ModelFiles& model, const Manifest& manifest) : model_(model) {
  for (const Job& job : manifest.jobs) {
    formats_.push_back(format_of(job, model));
    systems_.push_back(job.system.value_or(""));
  }
}

RenderOptions EncodeText::render_options() const {
  RenderOptions options;
  options.image_placeholder = model_.spec.image_token;
  if (const auto eos = model_.tokenizer->eos()) options.eos = std::string(model_.tokenizer->piece(*eos));
  return options;
}

std::string EncodeText::following_text(const Item& item) const {
  check_not_empty(item);
  return item.form == PromptForm::raw ? item.prompt
                                      : formats_[item.job].render_following(item.prompt, render_options());
}

std::string EncodeText::prompt_text(const Item& item) const {
  const std::string& text = item.prompt;
  check_not_empty(item);
  if (item.form == PromptForm::raw) return text;

  const ModelSpec& spec = model_.spec;
  const bool in_text = spec.placement == ImagePlacement::placeholders;
  RenderOptions options = render_options();
  std::vector<Turn> turns;
  if (!systems_[item.job].empty()) turns.push_back({Role::system, systems_[item.job]});
  if (item.messages.empty()) {
    if (in_text) options.images = static_cast<int>(item.images.size());
    turns.push_back({Role::user, text});
  }
  bool first_user = true;
  for (const Item::Message& message : item.messages) {
    std::string content;
    const bool placed_by_format = first_user && message.role == "user";
    if (placed_by_format && in_text) options.images = static_cast<int>(message.images);
    for (std::size_t i = 0; !placed_by_format && in_text && i < message.images; ++i)
      content += spec.image_token + "\n";
    if (message.role == "user") first_user = false;
    // The item's own system text takes the place of the job's.
    if (message.role == "system" && !turns.empty() && turns.front().role == Role::system) turns.clear();
    turns.push_back({role_of(message.role), content + message.content});
  }
  return formats_[item.job].render(turns, options);
}

EncodedText EncodeText::operator()(const Item& item) const {
  return {model_.encode_prompt(prompt_text(item)), {}};
}

}  // namespace mmbatch
