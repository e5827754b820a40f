#include "pipeline/stages/fuse.h"

#include <algorithm>
#include <cmath>

namespace mmbatch {

std::variant<Fused, Outcome> Fuse::operator()(const ImagesEncoded& images, const TextEncoded& text) const {
  const Ticket& ticket = text.ticket;
  ItemResult::Timings times;
  const auto fault = [&](Stage stage, const Error& error) {
    return Outcome{ticket, Fault{stage, error}, times};
  };
  if (ticket->settled()) {
    const Fault known{Stage::read, {ErrorCode::internal, "known from an earlier run"}};
    return Outcome{ticket, ticket->fault.value_or(known), times};
  }
  times.text = text.milliseconds;
  if (!ticket->item->images.empty()) times.vision = images.milliseconds;
  if (!images.images) return fault(Stage::image, images.images.error());
  if (!text.text) return fault(Stage::text, text.text.error());
  if (ticket->deadline.passed()) return fault(Stage::fuse, {ErrorCode::timeout, ticket->deadline.message()});
  if (model_.similarity() != nullptr) {
    auto matched = guarded([&] { return match(*ticket->item, images.images.value(), text.text.value()); });
    if (!matched) return fault(Stage::fuse, matched.error());
    return Outcome{ticket, AnyAnswer(std::move(matched.value())), times};
  }
  auto prompt = guarded([&] { return compose(model_.spec(), text.text.value().ids, images.images.value()); });
  if (!prompt) return fault(Stage::fuse, prompt.error());
  return Fused{ticket, std::move(prompt.value()), times};
}

namespace {

[[noreturn]] void no_numbers() {
  throw ItemError(
      ErrorCode::internal,
      "the model's embeddings are no finite numbers: its weights are damaged, or too large for this "
      "precision");
}

}  // namespace

Matched Fuse::match(const Item& item, const std::vector<EncodedImage>& images,
                    const EncodedText& text) const {
  if (item.task == Task::embed) {
    const Features& embedding = images.empty() ? text.embeddings.front() : images.front().features;
    const auto finite = [](float x) { return std::isfinite(x); };
    if (!std::all_of(embedding->data(), embedding->data() + embedding->cols(), finite)) no_numbers();
    return {{}, embedding};
  }
  Matched matched;
  for (const Features& label : text.embeddings) {
    matched.logits.push_back(model_.similarity()->logit(*images.front().features, *label));
    if (!std::isfinite(matched.logits.back())) no_numbers();
  }
  return matched;
}

}  // namespace mmbatch
