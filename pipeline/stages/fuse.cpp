#include "pipeline/stages/fuse.h"

#include <algorithm>
#include <cmath>

#include "pipeline/watch/at_stage.h"

namespace mmbatch {
namespace {

[[noreturn]] void refuse_not_finite() {
  throw ItemError(
      ErrorCode::internal,
      "the model's embeddings are not finite: its weights are damaged, or too large for this precision");
}

/// How an item ends for which a branch made nothing; nothing when it made something.
template <class T>
std::optional<decltype(Outcome::end)> end_of(const Branch<T>& branch) {
  if (const auto* failed = std::get_if<Failed>(&branch)) return *failed;
  if (std::holds_alternative<Abandoned>(branch)) return Abandoned{};
  return {};
}

template <class T>
const T& value_of(const Branch<T>& branch) {
  return *std::get<std::shared_ptr<const T>>(branch);
}

}  // namespace

std::variant<Fused, Outcome> Fuse::operator()(const ImagesEncoded& images, const TextEncoded& text) const {
  const TicketPtr& ticket = text.ticket;
  ItemResult::Timings times;
  times.text = text.milliseconds;
  if (!ticket->item->images.empty()) times.vision = images.milliseconds;
  if (const auto end = end_of<Images>(images.value)) return Outcome{ticket, *end, times};
  if (const auto end = end_of<EncodedText>(text.value)) return Outcome{ticket, *end, times};
  auto made = at_stage(timeline_, Stage::fuse, ticket->item->id, [&] {
    return fuse(*ticket, value_of<Images>(images.value), value_of<EncodedText>(text.value));
  });
  if (!made) return Outcome{ticket, Failed{Stage::fuse, made.error()}, times};
  if (auto* prompt = std::get_if<std::shared_ptr<const Prompt>>(&made.value()))
    return Fused{ticket, std::move(*prompt), times, frame_of(value_of<Images>(images.value))};
  return Outcome{ticket, answered(std::get<Matched>(std::move(made.value()))), times};
}

PictureFrame Fuse::frame_of(const Images& images) const {
  if (images.empty()) return {};
  const FeatureMap& map = images.front().features->map;
  PictureFrame frame{map.width, map.height, map.width, map.height};
  const auto& vision = model_.spec().vision;
  if (const auto* own = vision ? std::get_if<OwnShape>(&vision->form) : nullptr) {
    const auto unit = static_cast<int>(own->blocks.unit());
    frame.seen_width = static_cast<int>(map.grid.columns) * unit;
    frame.seen_height = static_cast<int>(map.grid.rows) * unit;
  }
  return frame;
}

Fuse::Prompted Fuse::fuse(const Ticket& ticket, const Images& images, const EncodedText& text) const {
  ticket.deadline.check();
  if (model_.similarity() != nullptr) return match(*ticket.item, images, text);
  return model_.compose(text.ids, images);
}

Matched Fuse::match(const Item& item, const Images& images, const EncodedText& text) const {
  if (item.task == Task::embed) {
    Matched matched;
    matched.embeddings = images.empty() ? text.embeddings : std::vector<Features>{images.front().features};
    const auto finite = [](float x) { return std::isfinite(x); };
    for (const Features& embedding : matched.embeddings) {
      if (!std::all_of(embedding->data(), embedding->data() + embedding->cols(), finite)) refuse_not_finite();
    }
    return matched;
  }
  Matched matched;
  for (const Features& label : text.embeddings) {
    matched.logits.push_back(model_.similarity()->logit(*images.front().features, *label));
    if (!std::isfinite(matched.logits.back())) refuse_not_finite();
  }
  matched.scores = model_.similarity()->scores(matched.logits);
  return matched;
}

}  // namespace mmbatch
