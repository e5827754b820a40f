#pragma once

#include <map>
#include <string>
#include <vector>

#include "fusion/model.h"
#include "jobs/manifest/manifest.h"
#include "pipeline/graph/messages.h"
#include "pipeline/stages/batch_encoder.h"

namespace mmbatch {

/// A text, and what messages call it; empty: it is its item's only one.
struct NamedText {
  std::string text;
  std::string name = {};
};

/// The texts that an item of a dual encoder's task needs embedded.
std::vector<NamedText> texts_of(const Item& item);

/// The text branch of a dual encoder: an item's labels, or the text that it wants embedded. Each distinct
/// text is encoded once, several as one batch. Thread-safe.
class EmbedText {
 public:
  EmbedText(const Model& model, const Manifest& manifest, Timeline& timeline);

  /// Calls `done` exactly once, now or from another thread's call.
  void operator()(const TicketPtr& ticket, Done<Branch<EncodedText>> done);

  std::size_t texts_encoded() const { return encoder_.encoded(); }

 private:
  using Wanted = BatchEncoder<PaddedText>::Wanted;
  Wanted wanted(NamedText text);
  std::vector<Wanted> wanted_by(const Item& item);

  const Model& model_;
  BatchEncoder<PaddedText> encoder_;
  std::map<const LabelSet*, std::vector<Wanted>> job_labels_;  // of jobs whose items share their labels
};

}  // namespace mmbatch
