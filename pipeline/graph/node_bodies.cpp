#include "pipeline/graph/node_bodies.h"

namespace mmbatch {
namespace {

/// Starts a branch, and measures what it takes until it answers.
template <class T, class Start>
void run_branch(Fatal& fatal, const TicketPtr& ticket, const Done<Encoded<T>>& emit, const Start& start) {
  const Done<Branch<T>> done = [ticket, emit, begin = Clock::now()](Branch<T> value) {
    emit({ticket, std::move(value), milliseconds_since(begin)});
  };
  if (!fatal.keep([&] { start(ticket, done); })) done(Abandoned{});
}

}  // namespace

std::optional<ReadItem> NodeBodies::read() {
  std::optional<ReadItem> item;
  const auto ends = [&] { return fatal_.happened() || storing_.happened(); };
  if (!stop_ && !ends()) fatal_.keep([&] { item = stages_.read(); });
  if (ends() && stages_.end_reading) stages_.end_reading();
  return item;
}

Admission NodeBodies::admit(const ReadItem& item) {
  Admission admission = Outcome{};
  fatal_.keep([&] { admission = stages_.admit(item); });
  return admission;
}

void NodeBodies::encode_images(const TicketPtr& ticket, const Done<ImagesEncoded>& emit) {
  run_branch<Images>(fatal_, ticket, emit, stages_.encode_images);
}

void NodeBodies::encode_text(const TicketPtr& ticket, const Done<TextEncoded>& emit) {
  run_branch<EncodedText>(fatal_, ticket, emit, stages_.encode_text);
}

std::variant<Fused, Outcome> NodeBodies::fuse(const std::tuple<ImagesEncoded, TextEncoded>& both) {
  std::variant<Fused, Outcome> fused = Outcome{std::get<0>(both).ticket, Abandoned{}};
  fatal_.keep([&] { fused = std::apply(stages_.fuse, both); });
  return fused;
}

void NodeBodies::decode(const Fused& fused, const Done<Outcome>& emit) {
  if (!fatal_.keep([&] { stages_.decode(fused, emit); })) emit({fused.ticket, Abandoned{}});
}

void NodeBodies::store(const Outcome& outcome) {
  if (std::holds_alternative<Abandoned>(outcome.end) || storing_.happened()) return;
  storing_.keep([&] { stages_.store(outcome); });
}

void NodeBodies::keep_lost() {
  keep([] {
    throw FatalError("a stage gave an item up without an answer, for want of memory or by a fault");
  });
}

void NodeBodies::rethrow() const {
  storing_.rethrow();
  fatal_.rethrow();
}

}  // namespace mmbatch
