#include "pipeline/run/stage_set.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "jobs/listing/shard.h"
#include "pipeline/watch/at_stage.h"
#include "pipeline/watch/progress.h"

namespace mmbatch {
namespace {

ImageFiles::Options image_options(const RunContext& context) {
  constexpr std::size_t kLeast = std::size_t{512} << 20, kPerThread = std::size_t{64} << 20;
  const auto threads = static_cast<std::size_t>(context.arena.threads());
  const std::size_t wanted = context.options.image_memory;
  return {.media = {}, .memory_bytes = wanted > 0 ? wanted : std::max(kLeast, threads * kPerThread)};
}

}  // namespace

StageSet::StageSet(const RunContext& c)
    : timeline_(c.timeline),
      reader_(open_reader(c)),
      files_(c.results, image_options(c)),
      admit_(c.model, c.manifest,
             {.command_line = c.options.generation,
              .image_budget = c.options.image_budget,
              .identity = c.identity,
              .now = c.now,
              .item_timeout = c.options.item_timeout},
             {.results = c.results, .images = files_, .timeline = c.timeline}),
      encode_image_(c.model, c.options.images, files_, c.timeline),
      fuse_(c.model, c.timeline),
      store_(c.model, c.results, counters_, c.timeline) {
  if (c.model.decoder() == nullptr) {
    embed_text_.emplace(c.model, c.manifest, c.timeline);
    return;
  }
  encode_text_.emplace(c.model.files(), c.manifest, c.now);
  decode_.emplace(c.model, c.options.engine, c.arena, c.timeline);
}

std::unique_ptr<ItemReader> StageSet::open_reader(const RunContext& context) {
  if (context.pieces == nullptr) return only_shard(open_items(context.manifest), context.options.shard);
  auto reader = std::make_unique<PieceReader>(context.manifest, *context.pieces,
                                              [&results = context.results] { results.flush(); });
  pieces_ = reader.get();
  return reader;
}

void StageSet::store(const Outcome& outcome) {
  const std::uint64_t failed = counters_.failed;
  store_(outcome);
  if (pieces_ == nullptr) return;
  const auto* known = std::get_if<KnownBefore>(&outcome.end);
  const bool fails = counters_.failed > failed || (known != nullptr && known->known == Known::failed);
  pieces_->stored(*outcome.ticket->item, fails ? PieceReader::Ended::failed : PieceReader::Ended::answered);
}

FlowStages StageSet::flow() {
  FlowStages stages;
  stages.read = [this] {
    return or_end_run(at_stage(timeline_, Stage::read, {}, [this] { return reader_->next(); }));
  };
  stages.admit = std::ref(admit_);
  stages.encode_images = std::ref(encode_image_);
  if (encode_text_) stages.encode_text = std::bind_front(std::cref(*encode_text_), std::ref(timeline_));
  if (embed_text_) stages.encode_text = std::ref(*embed_text_);
  stages.fuse = std::ref(fuse_);
  if (decode_) stages.decode = std::ref(*decode_);
  stages.store = [this](const Outcome& outcome) { store(outcome); };
  return stages;
}

void StageSet::settle() {
  if (decode_) decode_->settle();
}

RunSummary StageSet::summary() const {
  RunSummary s;
  s.items = counters_.done;
  s.answered = counters_.answered;
  s.failed = counters_.failed;
  s.resumed = counters_.resumed;
  s.stages = StageTimes(timeline_);
  s.images_encoded = encode_image_.images_encoded();
  s.image_cache_hits = encode_image_.cache_hits();
  if (embed_text_) s.texts_encoded = embed_text_->texts_encoded();
  s.answer_tokens = counters_.answer_tokens;
  s.prompt_tokens = counters_.prompt_tokens;
  s.prompt_tokens_reused = counters_.prompt_tokens_reused;
  if (s.answered > 0)
    s.mean_item_ms = static_cast<double>(counters_.item_us) / 1000 / static_cast<double>(s.answered);
  if (decode_) s.engine = decode_->stats();
  s.peak_rss_bytes = peak_resident_bytes();
  return s;
}

}  // namespace mmbatch
