#pragma once

#include "pipeline/graph/flow_graph.h"
#include "pipeline/watch/timeline.h"

namespace mmbatch {

/// The same stages, noting on the timeline what each call took, who was let in and how many are on their way.
/// What encoding and decoding take, these stages note themselves.
/// @param timeline must outlive the stages
FlowStages timed(FlowStages stages, Timeline& timeline);

}  // namespace mmbatch
