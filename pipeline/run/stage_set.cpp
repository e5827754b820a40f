#include "pipeline/run/stage_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
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
      reader_(only_shard(open_items(c.manifest), c.options.shard)),
      files_(c.results, image_options(c)),
      admit_(c.model, c.manifest,
             {.command_line = c.options.generation,
              .identity = c.identity,
              .item_timeout = c.options.item_timeout},
             {.results = c.results, .images = files_, .timeline = c.timeline}),
      encode_image_(c.model, c.options.images, files_, c.timeline),
      fuse_(c.model, c.timeline),
      store_(c.model, c.results, counters_, c.timeline) {
  if (c.model.decoder() == nullptr) {
    embed_text_.emplace(c.model, c.manifest, c.timeline);
    return;
  }
  encode_text_.emplace(c.model.files(), c.manifest);
  try {
    decode_.emplace(c.model, c.options.engine, c.arena, c.timeline);
  } catch (const std::bad_alloc&) {
    throw UsageError("out of memory: the key-value cache does not fit; --kv-memory makes it smaller");
  }
}

FlowStages StageSet::flow() {
  FlowStages stages;
  stages.read = [this] { return read(); };
  stages.admit = [this](const ReadItem& item) { return admit_(item); };
  stages.encode_images = [this](const TicketPtr& ticket, Done<Branch<Images>> done) {
    encode_image_(ticket, std::move(done));
  };
  stages.encode_text = [this](const TicketPtr& ticket, Done<Branch<EncodedText>> done) {
    encode_text(ticket, std::move(done));
  };
  stages.fuse = [this](const ImagesEncoded& images, const TextEncoded& text) { return fuse_(images, text); };
  stages.decode = [this](const Fused& fused, Done<Outcome> done) { (*decode_)(fused, std::move(done)); };
  stages.store = [this](const Outcome& outcome) { store_(outcome); };
  return stages;
}

std::optional<ReadItem> StageSet::read() {
  return or_end_run(at_stage(timeline_, Stage::read, {}, [this] { return reader_->next(); }));
}

void StageSet::encode_text(const TicketPtr& ticket, Done<Branch<EncodedText>> done) {
  if (embed_text_) return (*embed_text_)(ticket, std::move(done));
  auto text = at_stage(timeline_, Stage::encode_text, ticket->item->id,
                       [&] { return (*encode_text_)(*ticket->item); });
  if (!text) return done(Failed{Stage::encode_text, text.error()});
  done(made(std::move(text.value())));
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
