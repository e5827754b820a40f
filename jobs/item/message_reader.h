#pragma once

#include "jobs/item/image_path.h"
#include "jobs/item/item.h"
#include "jobs/item/item_builder.h"
#include "jobs/text/node.h"

namespace mmbatch {

///   message  = { "role": "system" | "user" | "assistant", "content": text | [part…] }
///   part     = { "type": "text", "text": text } | { "type": "image_url", "image_url": text | {"url": text} }
///
/// Requests have more forms, as today's clients write them: the role developer, which is system; several
/// system messages at the beginning, which are put together; an empty one, which is none; a name; keys that
/// hold null or nothing.
enum class MessageForms { item, request };

struct MessageSource {
  const Node::Entry& messages;
  MessageForms forms = MessageForms::item;
  ImageFolders folders;
};

/// Fills the item's messages, their images and its prompt.  @throws PlacedError, ItemError
void read_messages(const MessageSource& source, ItemSize& size, Item& item);

}  // namespace mmbatch
