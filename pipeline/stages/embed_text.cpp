#include "pipeline/stages/embed_text.h"

#include <utility>

#include "engine/base/sha256.h"

namespace mmbatch {
namespace {

/// Some ten thousand labels; more are encoded again when they come again.
constexpr std::size_t kCacheBytes = std::size_t{128} << 20;
constexpr std::size_t kBatch = 16;

}  // namespace

std::vector<std::string> texts_of(const Item& item) {
  std::vector<std::string> texts;
  if (item.task == Task::embed && item.images.empty()) {
    texts.push_back(item.prompt);
    texts.insert(texts.end(), item.further_texts.begin(), item.further_texts.end());
  }
  if (!item.labels) return texts;
  for (const std::string& label : item.labels->labels) texts.push_back(item.labels->text_of(label));
  return texts;
}

EmbedText::EmbedText(const Model& model, const Manifest& manifest, Timeline& timeline)
    : model_(model),
      encoder_({.cache_bytes = kCacheBytes,
                .batch = kBatch,
                .encode = [&model](std::span<const PaddedText* const> texts,
                                   Scratch& scratch) { return model.texts()->encode(texts, scratch); },
                .preparing = Stage::encode_text,
                .encoding = Stage::embed_text},
               timeline) {
  for (const Job& job : manifest.jobs) {
    if (!job.labels) continue;
    std::vector<Wanted>& all = job_labels_[job.labels.get()];
    for (const std::string& label : job.labels->labels) all.push_back(wanted(job.labels->text_of(label)));
  }
}

EmbedText::Wanted EmbedText::wanted(std::string text) {
  // Texts may be long, and the cache counts no keys.
  std::string key = Sha256().update(text).digest();
  return {std::move(key), [this, text = std::move(text)] { return model_.texts()->tokenize(text); }};
}

std::vector<EmbedText::Wanted> EmbedText::wanted_by(const Item& item) {
  const auto shared = job_labels_.find(item.labels.get());
  if (item.task == Task::classify && shared != job_labels_.end()) return shared->second;
  std::vector<Wanted> all;
  for (std::string& text : texts_of(item)) all.push_back(wanted(std::move(text)));
  return all;
}

void EmbedText::operator()(const TicketPtr& ticket, Done<Branch<EncodedText>> done) {
  encoder_(wanted_by(*ticket->item), [done = std::move(done)](Result<std::vector<Features>> embeddings) {
    if (!embeddings) return done(Failed{Stage::embed_text, embeddings.error()});
    done(made(EncodedText{{}, std::move(embeddings.value())}));
  });
}

}  // namespace mmbatch
