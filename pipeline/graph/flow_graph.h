#pragma once

#include <atomic>
#include <cstddef>
#include <functional>

#include "pipeline/graph/messages.h"
#include "pipeline/stages/admit.h"
#include "pipeline/stages/decode.h"
#include "pipeline/stages/embed_text.h"
#include "pipeline/stages/encode_image.h"
#include "pipeline/stages/encode_text.h"
#include "pipeline/stages/fuse.h"

namespace mmbatch {

/// The stages that the graph's nodes call. Not owned; tests put stages in that fail on purpose.
struct FlowStages {
  std::function<std::optional<ReadItem>()> read;  // one thread at a time; nothing at the end
  std::function<void()> end_reading;              // a fault ends the run: no more is read; may be empty
  std::function<Ticket(ReadItem)> admit;
  std::function<void(Ticket, EncodeImage::Done)> encode_image;
  std::function<void(Ticket, EmbedText::Done)> encode_text;
  std::function<std::variant<Fused, Outcome>(const ImagesEncoded&, const TextEncoded&)> fuse;
  std::function<void(Fused, Decode::Done)> decode;
  std::function<void(const Outcome&)> store;  // one thread at a time
};

/// Runs all items through the graph and returns when every one of them is stored:
///
///   read ─► admit ─┬─► encode image ──┐          ┌─► decode ─┐
///                  │                  ├─► fuse ──┤           ├─► store
///                  └─► encode text ───┘          └───────────┘
///
/// Past the decoder goes what needs none: the answers of a dual encoder, faults, and what is known already.
///
/// @param in_flight items between read and store at most
/// @param stop once true, no more items are read; those in flight are finished
/// @throws what a stage threw: the database can no longer be read or written, the listing cannot be read on.
/// No more items are read then, and those in flight are stored all the same, unless storing is what failed.
void run_flow_graph(const FlowStages& stages, std::size_t in_flight, const std::atomic<bool>& stop);

}  // namespace mmbatch
