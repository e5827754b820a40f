#include "pipeline/stages/admit.h"

#include "jobs/item/content_key.h"
#include "pipeline/run/tasks.h"

namespace mmbatch {

Admit::Admit(const Model& model, const Manifest& manifest, GenerationOverrides command_line,
             ModelIdentity identity, ResultsStore& store, const AdmitOptions& options)
    : model_(model),
      manifest_(manifest),
      around_{model.files().generation, std::move(command_line)},
      identity_(std::move(identity)),
      store_(store),
      options_(options) {}

Ticket Admit::operator()(ReadItem read) {
  auto admitted = std::make_shared<Admitted>();
  admitted->number = next_number_++;
  admitted->item = std::move(read.item);
  admitted->admitted = Clock::now();
  admitted->deadline = Deadline(admitted->admitted, options_.item_timeout);
  if (read.error) {
    admitted->fault = Fault{Stage::read, std::move(*read.error)};
    return admitted;
  }
  const auto settled = guarded([&] {
    admit(*admitted);
    return true;
  });
  if (!settled) admitted->fault = Fault{Stage::read, settled.error()};
  return admitted;
}

void Admit::admit(Admitted& admitted) {
  const Item& item = *admitted.item;
  admitted.generation = generation_of(manifest_, item, around_);
  check_task(item, model_.spec());
  MediaLimits limits = options_.media;
  limits.deadline = admitted.deadline;
  for (const Item::Image& image : item.images) {
    auto sha = guarded([&] { return image_sha256(image, &store_, limits); });
    if (!sha) {
      admitted.fault = Fault{Stage::image, sha.error()};
      return;
    }
    admitted.image_sha256.push_back(std::move(sha.value()));
  }
  const Job& job = manifest_.jobs[item.job];
  ContentParts parts;
  parts.item = &item;
  parts.turn_format = job.turn_format.empty() ? model_.files().turn_format.name() : job.turn_format;
  parts.system = job.system.value_or("");
  parts.image_sha256 = admitted.image_sha256;
  parts.model_fingerprint = identity_.fingerprint;
  parts.precision = identity_.precision;
  parts.generation = to_json(admitted.generation);
  admitted.content_key = content_key(parts);
  admitted.known = store_.look_up(admitted.item, admitted.content_key, admitted.image_sha256);
}

}  // namespace mmbatch
