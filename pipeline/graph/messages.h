#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include "engine/decoder/prompt.h"
#include "fusion/compose.h"
#include "pipeline/graph/outcome.h"

namespace mmbatch {

/// What admitting an item comes to: it is computed, or it has its outcome already.
using Admission = std::variant<TicketPtr, Outcome>;

/// What one of the two branches between admit and fuse makes of an item, or why there is nothing.
template <class T>
using Branch = std::variant<Abandoned, Failed, std::shared_ptr<const T>>;

template <class T>
Branch<T> made(T value) {
  return std::make_shared<const T>(std::move(value));
}

/// What a branch sends to the join. It always sends one for every ticket.
template <class T>
struct Encoded {
  TicketPtr ticket;
  Branch<T> value;
  double milliseconds = 0;  // since the branch got the ticket
};

using Images = std::vector<EncodedImage>;

/// What a text becomes: tokens for a decoder, or with a dual encoder embeddings, one for each label or text.
struct EncodedText {
  std::vector<std::int32_t> ids;
  std::vector<Features> embeddings;  // [1, width] each
};

using ImagesEncoded = Encoded<Images>;
using TextEncoded = Encoded<EncodedText>;

/// A prompt for the decoder.
struct Fused {
  TicketPtr ticket;
  std::shared_ptr<const Prompt> prompt;
  ItemResult::Timings times = {};
  PictureFrame picture = {};  // of the item's first image
};

/// Whom a stage that answers later calls, exactly once and from any thread.
template <class T>
using Done = std::function<void(T)>;

}  // namespace mmbatch
