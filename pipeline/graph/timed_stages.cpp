#include "pipeline/graph/timed_stages.h"

#include <atomic>
#include <memory>

namespace mmbatch {

FlowStages timed(FlowStages stages, Timeline& timeline) {
  FlowStages timed = stages;
  const auto in_flight = std::make_shared<std::atomic<int>>(0);
  const auto count = [in_flight, &timeline](int change) {
    const int now = *in_flight += change;
    timeline.count("items in flight", {{"items", static_cast<double>(now)}});
  };
  timed.read = [inner = std::move(stages.read), &timeline] {
    const TimelineSpan span(timeline, Activity::read);
    return inner();
  };
  timed.admit = [inner = std::move(stages.admit), count, &timeline](ReadItem item) {
    const auto begin = Timeline::Clock::now();
    Ticket ticket = inner(std::move(item));
    timeline.add(Activity::admit, begin, {}, ticket->item->id);
    timeline.item_begins(ticket->number, ticket->item->id);
    count(1);
    return ticket;
  };
  timed.fuse = [inner = std::move(stages.fuse), &timeline](const ImagesEncoded& images,
                                                           const TextEncoded& text) {
    const TimelineSpan span(timeline, Activity::fuse, text.ticket->item->id);
    return inner(images, text);
  };
  timed.store = [inner = std::move(stages.store), count, &timeline](const Outcome& outcome) {
    {
      const TimelineSpan span(timeline, Activity::store, outcome.ticket->item->id);
      inner(outcome);
    }
    timeline.item_ends(outcome.ticket->number, outcome.ticket->item->id);
    count(-1);
  };
  return timed;
}

}  // namespace mmbatch
