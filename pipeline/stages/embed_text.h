#pragma once

#include <functional>

#include "fusion/model.h"
#include "pipeline/graph/messages.h"
#include "pipeline/stages/batch_encoder.h"

namespace mmbatch {

/// The text branch of a dual encoder: an item's labels, or the text that it wants embedded. Each distinct
/// text is encoded once, several as one batch. Thread-safe.
class EmbedText {
 public:
  using Done = std::function<void(TextEncoded)>;

  EmbedText(const Model& model, Timeline& timeline);

  /// Calls `done` exactly once, now or from another thread's call.
  void operator()(const Ticket& ticket, Done done);

  std::size_t texts_encoded() const { return encoder_.encoded(); }

 private:
  const Model& model_;
  BatchEncoder<PaddedText> encoder_;
};

/// The texts that an item of a dual encoder's task needs embedded.
std::vector<std::string> texts_of(const Item& item);

}  // namespace mmbatch
