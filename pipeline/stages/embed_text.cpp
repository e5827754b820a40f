#include "pipeline/stages/embed_text.h"

#include <fmt/format.h>

#include <utility>

#include "engine/base/sha256.h"

namespace mmbatch {
namespace {

/// Some ten thousand labels; more are encoded again when they come again.
constexpr std::size_t kCacheBytes = std::size_t{128} << 20;
constexpr std::size_t kBatch = 16;

NamedText text_of(const LabelSet& labels, const std::string& label) {
  return {labels.text_of(label), fmt::format("label '{}'", label)};
}

}  // namespace

std::vector<NamedText> texts_of(const Item& item) {
  std::vector<NamedText> texts;
  if (item.task == Task::embed && item.images.empty()) {
    const std::size_t count = 1 + item.further_texts.size();
    texts.push_back({item.prompt});
    for (const std::string& text : item.further_texts) texts.push_back({text});
    for (std::size_t i = 0; i < count && count > 1; ++i)
      texts[i].name = fmt::format("text {} of {}", i + 1, count);
  }
  if (!item.labels) return texts;
  for (const std::string& label : item.labels->labels) texts.push_back(text_of(*item.labels, label));
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
    for (const std::string& label : job.labels->labels) all.push_back(wanted(text_of(*job.labels, label)));
  }
}

EmbedText::Wanted EmbedText::wanted(NamedText text) {
  // Texts may be long, and the cache counts no keys.
  std::string key = Sha256().update(text.text).digest();
  return {std::move(key), [this, text = std::move(text.text)] { return model_.texts()->tokenize(text); },
          std::move(text.name)};
}

std::vector<EmbedText::Wanted> EmbedText::wanted_by(const Item& item) {
  const auto shared = job_labels_.find(item.labels.get());
  if (item.task == Task::classify && shared != job_labels_.end()) return shared->second;
  std::vector<Wanted> all;
  for (NamedText& text : texts_of(item)) all.push_back(wanted(std::move(text)));
  return all;
}

void EmbedText::operator()(const TicketPtr& ticket, Done<Branch<EncodedText>> done) {
  encoder_(wanted_by(*ticket->item), [done = std::move(done)](Result<std::vector<Features>> embeddings) {
    if (!embeddings) return done(Failed{Stage::embed_text, embeddings.error()});
    done(made(EncodedText{{}, std::move(embeddings.value())}));
  });
}

}  // namespace mmbatch
