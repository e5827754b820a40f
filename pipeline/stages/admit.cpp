#include "pipeline/stages/admit.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "jobs/item/content_key.h"
#include "jobs/text/clock.h"
#include "jobs/text/json_text.h"
#include "pipeline/constraint/constraints.h"
#include "pipeline/run/tasks.h"
#include "pipeline/stages/encode_text.h"
#include "pipeline/stages/images/shown_pictures.h"
#include "pipeline/stages/reasoning.h"
#include "pipeline/watch/at_stage.h"

namespace mmbatch {

Admit::Admit(const Model& model, const Manifest& manifest, AdmitOptions options, const Access& access)
    : model_(model),
      manifest_(manifest),
      options_(std::move(options)),
      able_([&] {
        const std::vector<Task> tasks = tasks_of(model.spec());
        return std::set<Task>(tasks.begin(), tasks.end());
      }()),
      settings_(manifest, {model.files().generation, options_.command_line, options_.image_budget}),
      access_(access) {
  for (std::size_t job = 0; job < manifest.jobs.size(); ++job) {
    settings_.of_job(job);
    formats_.push_back(turn_format_of(manifest.jobs[job], manifest, model.files()));
    reasoning_.push_back(needs_decoder(manifest.jobs[job].task) && model.decoder() != nullptr
                             ? mmbatch::reasoning_of(manifest.jobs[job], model.files())
                             : nullptr);
  }
}

Admission Admit::operator()(const ReadItem& read) {
  const auto ticket = begin_ticket(read);
  const auto end = at_stage(access_.timeline, Stage::admit, ticket->item->id, [&]() -> std::optional<End> {
    if (read.error) return Failed{Stage::read, read.error->with_place()};
    return complete(*ticket);
  });
  if (end && !end.value()) return TicketPtr(ticket);
  access_.images.drop(ticket->image_sha256);
  return Outcome{ticket, end ? *end.value() : End(Failed{Stage::admit, end.error()})};
}

std::shared_ptr<Ticket> Admit::begin_ticket(const ReadItem& read) {
  auto ticket = std::make_shared<Ticket>();
  ticket->number = next_number_++;
  ticket->item = read.item;
  ticket->admitted = Clock::now();
  ticket->deadline = Deadline(ticket->admitted, options_.item_timeout);
  access_.timeline.item_begins(ticket->number, ticket->item->id);
  return ticket;
}

std::optional<Admit::End> Admit::complete(Ticket& ticket) {
  ticket.settings = settings_.of(*ticket.item);
  ticket.reasoning = reasoning_of(*ticket.item);
  check_own_constraint(*ticket.item, ticket.settings->generation);
  ticket.truncated_images = manifest_.jobs[ticket.item->job].truncated_images;
  if (!able_.contains(ticket.item->task) || ticket.item->regions == Regions::wanted)
    check_task(*ticket.item, model_.spec());
  for (const Item::Image& image : ticket.item->images) {
    auto sha256 = guarded([&] { return access_.images.digest(image, ticket.deadline); });
    if (!sha256) return Failed{Stage::preprocess, sha256.error()};
    ticket.image_sha256.push_back(std::move(sha256.value()));
  }
  ticket.content_key = key_of(ticket);
  const Known known = access_.results.look_up(ticket.item, ticket.content_key, ticket.image_sha256);
  if (known != Known::no) return KnownBefore{known};
  return {};
}

/// Raw prompts are not dialogues: their answers are taken as they come, unless their job names marks.
std::shared_ptr<const ReasoningFormat> Admit::reasoning_of(const Item& item) const {
  const bool named = manifest_.jobs[item.job].reasoning_marks.has_value();
  return named || item.form == PromptForm::turns ? reasoning_[item.job] : nullptr;
}

std::string Admit::key_of(const Ticket& ticket) const {
  const Job& job = manifest_.jobs[ticket.item->job];
  ContentParts parts;
  parts.item = ticket.item.get();
  const TurnFormat& format = formats_[ticket.item->job];
  const auto is_user = [](const Item::Message& message) { return message.role == "user"; };
  const auto questions = std::count_if(ticket.item->messages.begin(), ticket.item->messages.end(), is_user);
  parts.turn_format = format.key(static_cast<std::size_t>(questions));
  if (ticket.item->form == PromptForm::turns) {
    parts.template_variables = template_variables_of(manifest_, *ticket.item);
    parts.tools = tools_of(manifest_, *ticket.item);
    if (format.is_template()) parts.parts = ContentParts::Parts::one_by_one;
  }
  if (const auto& marks = job.reasoning_marks)
    parts.reasoning_marks = marks->empty() ? "none" : json_array(*marks);
  if (format.reads_clock()) parts.now = time_text(options_.now);
  parts.system = job.system.value_or("");
  parts.image_sha256 = ticket.image_sha256;
  parts.truncated_images = ticket.truncated_images;
  parts.image_budget = ticket.settings->image_budget;
  if (const auto video = shown_video(*ticket.item, model_.spec()))
    parts.video = fmt::format("{:.6f} s", video->length);
  parts.model_fingerprint = options_.identity.fingerprint;
  parts.precision = options_.identity.precision;
  parts.generation = ticket.settings->json;
  return content_key(parts);
}

}  // namespace mmbatch
