#include "jobs/item/content_key.h"

#include "engine/base/sha256.h"
#include "jobs/item/images/image_budget.h"

namespace mmbatch {

std::string content_key(const ContentParts& parts) {
  const Item& item = *parts.item;
  Sha256 hash;
  hash.field("mmbatch content 1");
  hash.field(to_string(item.task)).field(item.form == PromptForm::raw ? "raw" : "turns");
  hash.field(std::uint64_t{item.messages.size()});
  if (item.messages.empty()) hash.field(item.prompt);
  for (const Item::Message& message : item.messages) {
    hash.field(message.role).field(message.content).field(std::uint64_t{message.images});
    // Keys of before have no such parts.
    if (parts.parts == ContentParts::Parts::one_by_one && !message.parts.empty())
      hash.field("parts").field(message.parts);
    if (!message.other.empty()) hash.field("other").field(message.other);
  }
  for (const std::string& text : item.further_texts) hash.field("further text").field(text);
  if (item.labels) {
    hash.field(item.labels->label_template).field(std::uint64_t{item.labels->labels.size()});
    for (const std::string& label : item.labels->labels) hash.field(label);
  }
  const bool decoded = needs_decoder(item.task);
  if (decoded) hash.field(parts.turn_format).field(parts.system);
  const bool has_variables = !parts.template_variables.empty() && parts.template_variables != "{}";
  if (decoded && has_variables) hash.field("chat_template_kwargs").field(parts.template_variables);
  if (decoded && !parts.tools.empty()) hash.field("tools").field(parts.tools);
  if (decoded && !parts.reasoning_marks.empty()) hash.field("reasoning_marks").field(parts.reasoning_marks);
  if (decoded && !parts.now.empty()) hash.field("now").field(parts.now);
  hash.field(std::uint64_t{parts.image_sha256.size()});
  for (const std::string& image : parts.image_sha256) hash.field(image);
  for (const Item::Image& image : item.images) {
    if (!image.part.empty()) hash.field("part").field(key_text(image.part));
  }
  // Not by default: keys of before have no such part.
  if (!parts.image_sha256.empty() && parts.truncated_images == TruncatedImages::accept) {
    hash.field("truncated_images accept");
  }
  if (!parts.image_sha256.empty() && !parts.image_budget.empty())
    hash.field("image budget").field(key_text(parts.image_budget));
  if (item.regions == Regions::wanted && item.task != Task::detect) hash.field("regions");
  if (!parts.video.empty()) hash.field("video input").field(parts.video);
  hash.field(parts.model_fingerprint).field(parts.precision);
  if (decoded) hash.field(parts.generation);
  return hash.hex();
}

}  // namespace mmbatch
