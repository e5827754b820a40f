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
  if (item.task == Task::embed && item.images.empty()) texts.push_back(item.prompt);
  if (!item.labels) return texts;
  for (const std::string& label : item.labels->labels) texts.push_back(item.labels->text_of(label));
  return texts;
}

EmbedText::EmbedText(const Model& model, Timeline& timeline)
    : model_(model),
      encoder_({kCacheBytes, kBatch,
                [&model](std::span<const PaddedText* const> texts, Scratch& scratch) {
                  return model.texts()->encode(texts, scratch);
                },
                Activity::encode_text, Activity::embed_text},
               timeline) {}

void EmbedText::operator()(const Ticket& ticket, Done done) {
  if (ticket->settled()) return done({ticket, EncodedText{}, 0.0});
  std::vector<BatchEncoder<PaddedText>::Wanted> wanted;
  for (std::string& text : texts_of(*ticket->item)) {
    // Texts may be long, and the cache counts no keys.
    std::string key = Sha256().update(text).digest();
    wanted.push_back(
        {std::move(key), [this, text = std::move(text)] { return model_.texts()->tokenize(text); }});
  }
  encoder_(std::move(wanted),
           [ticket, done = std::move(done), begin = Clock::now()](Result<std::vector<Features>> embeddings) {
             const double milliseconds = milliseconds_since(begin);
             if (!embeddings) return done({ticket, embeddings.error(), milliseconds});
             done({ticket, EncodedText{{}, std::move(embeddings.value())}, milliseconds});
           });
}

}  // namespace mmbatch
