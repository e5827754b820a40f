#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/generation_config.h"
#include "engine/base/result.h"
#include "engine/decoder/prompt.h"
#include "engine/serve/request.h"
#include "fusion/compose.h"
#include "jobs/item/deadline.h"
#include "jobs/item/item.h"
#include "jobs/results/store.h"
#include "pipeline/graph/stage.h"

namespace mmbatch {

using Clock = std::chrono::steady_clock;

inline double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/// A fault of one item, and where it came about.
struct Fault {
  Stage stage = Stage::read;
  Error error;
};

/// An item on its way through the graph: what was known of it when it was let in. Never changed afterwards.
struct Admitted {
  std::uint64_t number = 0;  // in order of reading; the key of the join
  std::shared_ptr<const Item> item;
  std::optional<Fault> fault;  // it goes straight through to the store
  Known known = Known::no;     // answered or failed in an earlier run: likewise
  GenerationConfig generation;
  std::vector<std::string> image_sha256;
  std::string content_key;
  Clock::time_point admitted;
  Deadline deadline;

  /// Nothing is to be computed for it.
  bool settled() const { return fault.has_value() || known != Known::no; }
};
using Ticket = std::shared_ptr<const Admitted>;

/// What the nodes hand on. Every branch always emits one of these for every ticket, with a value or an error.
struct ImagesEncoded {
  Ticket ticket;
  Result<std::vector<EncodedImage>> images;
  double milliseconds = 0;
};

/// What a text becomes: tokens for a decoder, or with a dual encoder embeddings, one a label or text.
struct EncodedText {
  std::vector<std::int32_t> ids;
  std::vector<Features> embeddings;  // [1, width] each
};

struct TextEncoded {
  Ticket ticket;
  Result<EncodedText> text;
  double milliseconds = 0;
};

/// A prompt for the decoder.
struct Fused {
  Ticket ticket;
  std::shared_ptr<const Prompt> prompt;
  ItemResult::Timings times;
};

/// What a dual encoder says of an item, which no decoder has to write.
struct Matched {
  std::vector<double> logits;  // classify: of each label, in the order of the item's
  Features embedding;          // embed: [1, width]; else null
};

using AnyAnswer = std::variant<Completion, Matched>;

/// How an item ended.
struct Outcome {
  Ticket ticket;
  std::variant<Fault, AnyAnswer> answer;
  ItemResult::Timings times;
};

}  // namespace mmbatch
