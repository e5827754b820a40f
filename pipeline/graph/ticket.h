#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/image/truncated_images.h"
#include "jobs/item/item.h"
#include "jobs/item/settings.h"
#include "jobs/media/deadline.h"
#include "text/reasoning/reasoning_format.h"

namespace mmbatch {

using Clock = std::chrono::steady_clock;

inline double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/// An item on its way through the graph. Made once, when the item is admitted, and never changed or copied
/// afterwards.
struct Ticket {
  std::uint64_t number = 0;                      // in order of admission; the key of the join
  std::shared_ptr<const Item> item;              // never null
  std::shared_ptr<const ItemSettings> settings;  // null for an item that failed before they were known
  std::vector<std::string> image_sha256;         // hex, in the order of Item::images
  TruncatedImages truncated_images = TruncatedImages::fail;
  std::shared_ptr<const ReasoningFormat>
      reasoning;            // how thoughts are told from the answer; null: there are none
  std::string content_key;  // hex; empty for an item that failed before it was known
  Clock::time_point admitted;
  Deadline deadline;
};
using TicketPtr = std::shared_ptr<const Ticket>;

}  // namespace mmbatch
