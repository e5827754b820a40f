#pragma once

#include <string_view>

#include "jobs/item/image_path.h"
#include "jobs/item/item.h"
#include "jobs/item/item_builder.h"
#include "jobs/text/node.h"

namespace mmbatch {

///   message  = { "role": "system" | "developer" | "user" | "assistant" | "tool", "content": text | [part…],
///                "name"?: text, "tool_calls"?: [{…}…], "tool_call_id"?: text, "reasoning_content"?: text }
///   part     = { "type": "text", "text": text } | { "type": "image_url", "image_url": text | {"url": text} }
///                | { "type": "image", ("image" | "url" | "path": text)? }
///
/// An image part that names no image stands for the next of the item's `images`; all of them have their parts
/// then. An assistant's message with tool_calls needs no content. The arguments of a call may be an object,
/// or a text that is one as JSON. The last message is the user's or a tool's.
///
/// Parts may be written shorter, as some clients do: a text alone for a text part; no "type" where its one
/// key says it; input_text and input_image, as requests to /v1/responses have them.
///
/// Requests have more forms, as today's clients write them: the role developer, which is system; several
/// system messages at the beginning, which are put together; an empty one, which is none; a name; keys that
/// hold null or nothing.
enum class MessageForms { item, request };

/// A picture in Item::Message::parts.
constexpr std::string_view kImagePart = R"({"type":"image"})";

struct MessageSource {
  const Node::Entry& messages;
  MessageForms forms = MessageForms::item;
  ImageFolders folders;
};

/// Fills the item's messages, their images behind those that it has, and its prompt.
/// @throws PlacedError, ItemError
void read_messages(const MessageSource& source, ItemSize& size, Item& item);

}  // namespace mmbatch
