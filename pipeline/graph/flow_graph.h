#pragma once

#include "pipeline/graph/flow_stages.h"

namespace mmbatch {

/// Runs all items through the graph and returns when every one of them is stored:
///
///   read ─► admit ─┬─► encode images ─┐          ┌─► decode ─┐
///              │   │                  ├─► fuse ──┤           ├─► store
///              │   └─► encode text ───┘          └───────────┤
///              └─────────────────────────────────────────────┘
///
/// From admit to store goes what is settled: items that failed while they were read or admitted, and what an
/// earlier run left. From fuse to store goes what needs no decoder: the answers of a dual encoder, and items
/// that failed in a branch.
///
/// @param in_flight items between read and store at most
/// @param stop once true, no more items are read; those in flight are finished
/// @throws what a stage threw: the database can no longer be read or written, the listing cannot be read on.
/// No more items are read then, and those in flight are stored all the same, unless storing is what failed.
void run_flow_graph(const FlowStages& stages, std::size_t in_flight, const std::atomic<bool>& stop);

}  // namespace mmbatch
