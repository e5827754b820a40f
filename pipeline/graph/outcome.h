#pragma once

#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/result.h"
#include "engine/serve/request.h"
#include "fusion/similarity.h"
#include "jobs/results/store.h"
#include "pipeline/graph/stage.h"
#include "pipeline/graph/ticket.h"
#include "text/regions/regions.h"
#include "vision/tower/feature_cache.h"

namespace mmbatch {

/// What a dual encoder says of an item.
struct Matched {
  std::vector<double> logits;        // classify: of each label, in the order of the item's
  std::vector<LabelScore> scores;    // and what they mean
  std::vector<Features> embeddings;  // embed: [1, width] of the image, or of each text
};

/// The run ends before the item is computed: it is not stored, and a resume takes it again.
struct Abandoned {};

struct Failed {
  Stage stage = Stage::read;
  Error error;
};

/// Its rows are in the database: an earlier run answered it, or failed with it and this one does not retry.
struct KnownBefore {
  Known known = Known::answered;
};

struct Answered {
  std::shared_ptr<const std::variant<Completion, Matched>> answer;  // never null
  PictureFrame picture = {};                                        // the first of a decoder's item
};

template <class T>
Answered answered(T answer) {
  return {std::make_shared<const std::variant<Completion, Matched>>(std::move(answer))};
}

/// How an item ended.
struct Outcome {
  TicketPtr ticket;  // null only for one that was abandoned while it was admitted
  std::variant<Abandoned, Failed, KnownBefore, Answered> end;
  ItemResult::Timings times = {};
};

}  // namespace mmbatch
