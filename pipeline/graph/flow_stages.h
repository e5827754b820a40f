#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <optional>
#include <variant>

#include "pipeline/graph/messages.h"

namespace mmbatch {

/// The stages that the nodes of the graph call. What they throw ends the run; an item's own fault is in what
/// they return.
struct FlowStages {
  std::function<std::optional<ReadItem>()> read;  // one thread at a time; nothing at the end
  std::function<void()> end_reading;              // a fault ends the run: no more is read; may be empty
  std::function<Admission(const ReadItem&)> admit;
  std::function<void(const TicketPtr&, Done<Branch<Images>>)> encode_images;
  std::function<void(const TicketPtr&, Done<Branch<EncodedText>>)> encode_text;
  /// Gets branches that failed or were abandoned too, and makes the outcome of them.
  std::function<std::variant<Fused, Outcome>(const ImagesEncoded&, const TextEncoded&)> fuse;
  std::function<void(const Fused&, Done<Outcome>)> decode;
  std::function<void(const Outcome&)> store;  // one thread at a time; gets no abandoned ones
};

/// Runs all items through the stages; run_flow_graph() is one such.
/// @param in_flight items between read and store at most
/// @param stop once true, no more items are read; those in flight are finished
using RunStages =
    std::function<void(const FlowStages&, std::size_t in_flight, const std::atomic<bool>& stop)>;

}  // namespace mmbatch
