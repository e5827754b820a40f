#include "pipeline/stages/fuse.h"

namespace mmbatch {

Fused Fuse::operator()(const ImagesEncoded& images, const TextEncoded& text) const {
  const Ticket& ticket = text.ticket;
  ItemResult::Timings times;
  if (ticket->settled()) {
    return {ticket,
            ticket->error.value_or(Error{Stage::read, ErrorCode::internal, "known from an earlier run"}),
            times};
  }
  times.text = text.milliseconds;
  if (!ticket->item.images.empty()) times.vision = images.milliseconds;
  if (!images.images) return {ticket, images.images.error(), times};
  if (!text.ids) return {ticket, text.ids.error(), times};
  return {
      ticket,
      guarded(Stage::fuse, [&] { return compose(model_.spec(), text.ids.value(), images.images.value()); }),
      times};
}

}  // namespace mmbatch
