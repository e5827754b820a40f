#include <fmt/format.h>

#include "jobs/item/dialogue/message_reader.h"
#include "jobs/item/requests/request_body.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

const BodyKeys kEmbeddingKeys = {.known = {"input", "messages", "model", "encoding_format"},
                                 .ignored = {"user"},
                                 .unsupported = {"dimensions"}};

constexpr std::size_t kMostInputs = 2048;  // as OpenAI's

std::string read_text(const RequestBody& request, const Node::Entry& input, const Node& value) {
  if (value.kind == Node::Kind::list || value.kind == Node::Kind::number) {
    throw PlacedError(
        ErrorCode::unsupported, input.place,
        "'input' in the body must be a text or a list of texts: lists of tokens are not supported");
  }
  std::string text = text_of(input, value);
  request.size.add(text.size());
  if (stripped(text).empty()) throw PlacedError(ErrorCode::prompt_empty, input.place, "'input' is empty");
  return text;
}

/// A text, or a list of them: the first is the item's prompt.
void read_input(const RequestBody& request, const Node::Entry& input) {
  const Node& value = *input.value;
  if (value.kind != Node::Kind::list) {
    request.item.prompt = read_text(request, input, value);
    return;
  }
  if (value.list.empty()) throw PlacedError(ErrorCode::prompt_empty, input.place, "'input' is empty");
  if (value.list.size() > kMostInputs) {
    throw PlacedError(
        ErrorCode::invalid_value, input.place,
        fmt::format("'input' has {} texts, at most {} are allowed", value.list.size(), kMostInputs));
  }
  for (const auto& text : value.list) request.item.further_texts.push_back(read_text(request, input, *text));
  request.item.prompt = std::move(request.item.further_texts.front());
  request.item.further_texts.erase(request.item.further_texts.begin());
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
  check_body(request.body, kEmbeddingKeys);
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
