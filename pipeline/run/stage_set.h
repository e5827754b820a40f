#pragma once

#include <ctime>
#include <memory>
#include <optional>

#include "engine/base/threads.h"
#include "fusion/model.h"
#include "jobs/listing/item_reader.h"
#include "jobs/manifest/manifest.h"
#include "jobs/pieces/piece_reader.h"
#include "pipeline/graph/flow_stages.h"
#include "pipeline/run/run.h"
#include "pipeline/stages/admit.h"
#include "pipeline/stages/decode.h"
#include "pipeline/stages/embed_text.h"
#include "pipeline/stages/encode_image.h"
#include "pipeline/stages/encode_text.h"
#include "pipeline/stages/fuse.h"
#include "pipeline/stages/store.h"
#include "pipeline/watch/counters.h"
#include "pipeline/watch/summary.h"

namespace mmbatch {

/// What the stages of a run work with; all of it outlives them.
struct RunContext {
  const Manifest& manifest;
  const RunOptions& options;
  const Model& model;
  const ModelIdentity& identity;
  ResultsStore& results;
  Timeline& timeline;
  Arena& arena;
  std::tm now;                    // for chat templates
  PieceFolder* pieces = nullptr;  // where items come from in pieces
};

/// The stages of one run over one manifest.
class StageSet {
 public:
  explicit StageSet(const RunContext& context);

  /// As the graph calls them; valid as long as this lives.
  FlowStages flow();
  /// Waits until all that was done is counted. The graph has nothing left.
  void settle();
  /// Null unless items come in pieces.
  PieceReader* pieces() { return pieces_; }
  const Counters& counters() const { return counters_; }
  /// What they did so far, without the run's seconds, threads and cores.
  RunSummary summary() const;

 private:
  std::unique_ptr<ItemReader> open_reader(const RunContext& context);
  void store(const Outcome& outcome);

  Timeline& timeline_;
  Counters counters_;
  PieceReader* pieces_ = nullptr;  // reader_, or null
  std::unique_ptr<ItemReader> reader_;
  ImageFiles files_;
  Admit admit_;
  EncodeImage encode_image_;
  std::optional<EncodeText> encode_text_;  // with a decoder
  std::optional<EmbedText> embed_text_;    // with a dual encoder
  Fuse fuse_;
  std::optional<Decode> decode_;  // with a decoder
  Store store_;
};

}  // namespace mmbatch
