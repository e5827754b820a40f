#include <fmt/format.h>

#include "jobs/item/dialogue/message_reader.h"
#include "jobs/item/requests/request_body.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

const BodyKeys kKeys = {.known = {"input", "messages", "model", "encoding_format"},
                        .ignored = {"user"},
                        .unsupported = {"dimensions"}};

/// A text, or a list of one.
void read_input(const RequestBody& request, const Node::Entry& input) {
  const Node* value = input.value.get();
  if (value->kind == Node::Kind::list && value->list.size() == 1) value = value->list.front().get();
  if (value->kind == Node::Kind::list || value->kind == Node::Kind::number) {
    throw PlacedError(
        ErrorCode::unsupported, input.place,
        "'input' in the body must be one text: several texts take a line each, and lists of tokens "
        "are not supported");
  }
  request.item.prompt = text_of(input, *value);
  request.size.add(request.item.prompt.size());
  if (stripped(request.item.prompt).empty())
    throw PlacedError(ErrorCode::prompt_empty, input.place, "'input' is empty");
}

/// One message of one image or one text, as vLLM takes them.
void read_message(const RequestBody& request, const Node::Entry& messages) {
  const ItemContext& context = request.context;
  Item& item = request.item;
  read_messages({messages, MessageForms::request, {context.folder, context.job->image_root}}, request.size,
                item);
  const bool is_text = item.images.empty(), has_text = !stripped(item.prompt).empty();
  if (item.messages.size() != 1 || item.images.size() > 1 || is_text != has_text) {
    throw PlacedError(ErrorCode::unsupported, messages.place,
                      "'messages' of an embedding must be one message of one image, or of one text");
  }
  item.messages.clear();
}

}  // namespace

void build_embedding(const RequestBody& request) {
  check_body(request.body, kKeys);
  Item& item = request.item;
  const Node::Entry* const input = request.body.get("input");
  const Node::Entry* const messages = request.body.get("messages");
  if ((input == nullptr) == (messages == nullptr))
    request.fail("the body needs 'input', or 'messages' instead");
  if (input != nullptr) read_input(request, *input);
  if (messages != nullptr) read_message(request, *messages);
  item.task = Task::embed;
  item.form = PromptForm::turns;
  const Node::Entry* const format = request.body.get("encoding_format");
  if (format == nullptr || is_text(*format->value, "float")) return;
  if (!is_text(*format->value, "base64")) ill_typed(*format, "float or base64");
  item.request = R"({"url":"/v1/embeddings","encoding_format":"base64"})";
}

}  // namespace mmbatch
