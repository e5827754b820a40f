// Requests of OpenAI's responses (platform.openai.com/docs/api-reference/responses): their input becomes the
// messages of a chat, which are read as those of chat completions are.

#include <fmt/format.h>

#include <utility>

#include "jobs/item/constraint/constraint_keys.h"
#include "jobs/item/dialogue/message_reader.h"
#include "jobs/item/requests/request_body.h"
#include "jobs/text/json_text.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

const std::vector<RequestSetting> kResponseSettings = {{"max_output_tokens", "max_new_tokens"},
                                                       {"max_reasoning_tokens", "max_reasoning_tokens"},
                                                       {"top_p", "top_p"},
                                                       {"stop", "stop_strings"},
                                                       {"seed", "seed"},
                                                       {"presence_penalty", "presence_penalty"},
                                                       {"frequency_penalty", "frequency_penalty"}};

const BodyKeys kResponseKeys = {
    .known = {"input",
              "instructions",
              "model",
              "max_output_tokens",
              "max_reasoning_tokens",
              "temperature",
              "top_p",
              "stop",
              "seed",
              "presence_penalty",
              "frequency_penalty",
              "text",
              "reasoning",
              "tools",
              "tool_choice",
              "parallel_tool_calls",
              "chat_template_kwargs",
              "include",
              "top_logprobs",
              "structured_outputs"},
    .ignored = {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
                "prompt_cache_retention"},
    .unsupported = {"stream", "stream_options", "background", "previous_response_id", "conversation",
                    "prompt", "truncation", "max_tool_calls", "context_management"}};

Node::Entry entry_of(const char* key, NodePointer value, Place place) {
  return {key, place, std::move(value)};
}

NodePointer value_of(const Node& map, const char* key) {
  const Node::Entry* const entry = map.get(key);
  return entry == nullptr ? nullptr : entry->value;
}

/// The input's elements as messages.
class Messages {
 public:
  explicit Messages(const RequestBody& request) : request_(request) {}

  NodePointer read() {
    if (const Node::Entry* entry = request_.body.get("instructions"))
      add("system", text_node(text_of(*entry, *entry->value), entry->place), entry->place);
    const Node::Entry* const input = request_.body.get("input");
    if (input == nullptr) request_.fail("the body has no 'input'");
    input_ = input;
    if (input->value->kind == Node::Kind::text) {
      add("user", input->value, input->place);
    } else {
      for (const NodePointer& element : list_of(*input, "a text, or a list of messages"))
        read_element(*element);
    }
    if (!thoughts_.empty()) fail(*input->value, "the last element of 'input' is reasoning without a message");
    return list_node(std::move(messages_), input->place);
  }

 private:
  [[noreturn]] void fail(const Node& at, const std::string& problem,
                         ErrorCode code = ErrorCode::invalid_item) const {
    throw PlacedError(code, at.place.line > 0 ? at.place : input_->place, problem);
  }

  void add(const char* role, NodePointer content, Place place, std::vector<Node::Entry> more = {}) {
    more.push_back(entry_of("role", text_node(role, place), place));
    if (content) more.push_back(entry_of("content", std::move(content), place));
    messages_.push_back(map_node(std::move(more), place));
  }

  void read_element(const Node& element) {
    if (element.kind != Node::Kind::map) fail(element, "an element of 'input' must be an object");
    const Node::Entry* const type = element.get("type");
    const std::string kind = type == nullptr ? "message" : text_of(*type, *type->value);
    if (kind == "message") return read_message(element);
    if (kind == "function_call") return read_call(element);
    if (kind == "function_call_output") return read_call_output(element);
    if (kind == "reasoning") return read_reasoning(element);
    fail(element,
         fmt::format("'input' has an element of type '{}', which is not supported", shortened(kind, 80)),
         ErrorCode::unsupported);
  }

  void read_message(const Node& element) {
    check_keys(element, {"type", "role", "content", "id", "status", "phase"}, "a message of 'input'");
    const Node::Entry* const role = element.get("role");
    const Node::Entry* const content = element.get("content");
    if (role == nullptr || content == nullptr) fail(element, "a message needs 'role' and 'content'");
    std::vector<Node::Entry> more;
    if (is_text(*role->value, "assistant")) more = thoughts(role->place);
    more.push_back(*role);
    more.push_back(entry_of("content", parts_of(*content), content->place));
    messages_.push_back(map_node(std::move(more), element.place));
  }

  /// Their names in chat completions.
  NodePointer parts_of(const Node::Entry& content) const {
    if (content.value->kind != Node::Kind::list) return content.value;
    std::vector<NodePointer> parts;
    for (const NodePointer& part : content.value->list) {
      const Node::Entry* const type = part->get("type");
      const std::string kind = type == nullptr ? "" : text_of(*type, *type->value);
      if (kind == "input_text" || kind == "output_text" || kind == "text") {
        check_keys(*part, {"type", "text", "annotations", "logprobs"}, "a part of text");
        const Place place = type->place;
        parts.push_back(map_node({entry_of("type", text_node("text", place), place),
                                  entry_of("text", value_of(*part, "text"), place)},
                                 part->place));
      } else if (kind == "input_image") {
        parts.push_back(image_part(*part, type->place));
      } else {
        fail(*part,
             fmt::format("'content' must be a text, or a list of parts of type input_text or input_image{}",
                         kind.empty() ? "" : fmt::format(", not '{}'", shortened(kind, 80))),
             kind.empty() ? ErrorCode::invalid_item : ErrorCode::unsupported);
      }
    }
    return list_node(std::move(parts), content.place);
  }

  NodePointer image_part(const Node& part, Place place) const {
    check_keys(part, {"type", "image_url", "detail", "file_id"}, "a part of type input_image");
    if (part.get("file_id") != nullptr)
      fail(part, "'file_id' of an image is not supported: give its 'image_url'", ErrorCode::unsupported);
    if (part.get("image_url") == nullptr) fail(part, "a part of type input_image needs 'image_url'");
    const NodePointer url = map_node({entry_of("url", value_of(part, "image_url"), place)}, place);
    return map_node(
        {entry_of("type", text_node("image_url", place), place), entry_of("image_url", url, place)},
        part.place);
  }

  /// A call of the message before, if that is the assistant's; else of a message of its own.
  void read_call(const Node& element) {
    check_keys(element, {"type", "id", "status", "call_id", "name", "arguments"}, "a function_call");
    const NodePointer function =
        map_node({entry_of("name", value_of(element, "name"), element.place),
                  entry_of("arguments", value_of(element, "arguments"), element.place)},
                 element.place);
    if (element.get("name") == nullptr) fail(element, "a function_call needs 'name'");
    const NodePointer call = map_node({entry_of("type", text_node("function", element.place), element.place),
                                       entry_of("id", value_of(element, "call_id"), element.place),
                                       entry_of("function", function, element.place)},
                                      element.place);
    const bool goes_on = thoughts_.empty() && !messages_.empty() &&
                         messages_.back()->find("role") != nullptr &&
                         is_text(*messages_.back()->find("role")->value, "assistant");
    std::vector<NodePointer> calls;
    std::vector<Node::Entry> entries;
    if (goes_on) {
      entries = messages_.back()->map;
      if (const Node::Entry* earlier = messages_.back()->find("tool_calls")) calls = earlier->value->list;
      std::erase_if(entries, [](const Node::Entry& entry) { return entry.key == "tool_calls"; });
      messages_.pop_back();
    } else {
      entries = thoughts(element.place);
      entries.push_back(entry_of("role", text_node("assistant", element.place), element.place));
    }
    calls.push_back(call);
    entries.push_back(entry_of("tool_calls", list_node(std::move(calls), element.place), element.place));
    messages_.push_back(map_node(std::move(entries), element.place));
  }

  void read_call_output(const Node& element) {
    check_keys(element, {"type", "id", "status", "call_id", "output"}, "a function_call_output");
    const Node::Entry* const output = element.get("output");
    if (output == nullptr) fail(element, "a function_call_output needs 'output'");
    add("tool", parts_of(*output), element.place,
        {entry_of("tool_call_id", value_of(element, "call_id"), element.place)});
  }

  /// Thoughts stand before the message that they led to.
  void read_reasoning(const Node& element) {
    check_keys(element, {"type", "id", "status", "summary", "content", "encrypted_content"}, "reasoning");
    if (element.get("encrypted_content") != nullptr)
      fail(element, "'encrypted_content' of reasoning is not supported", ErrorCode::unsupported);
    const Node::Entry* const content = element.get("content");
    if (content == nullptr) return;
    for (const NodePointer& part : list_of(*content, "a list of parts of type reasoning_text")) {
      const Node::Entry* const text = part->get("text");
      if (text == nullptr) ill_typed(*content, "a list of parts of type reasoning_text");
      thoughts_ += text_of(*text, *text->value);
    }
  }

  std::vector<Node::Entry> thoughts(Place place) {
    if (thoughts_.empty()) return {};
    return {entry_of("reasoning_content", text_node(std::exchange(thoughts_, {}), place), place)};
  }

  const RequestBody& request_;
  const Node::Entry* input_ = nullptr;
  std::vector<NodePointer> messages_;
  std::string thoughts_;  // of reasoning whose message is still to come
};

/// Functions stand in their tools, not in a `function` of them.
NodePointer chat_tools(const Node::Entry& tools) {
  std::vector<NodePointer> out;
  for (const NodePointer& tool : list_of(tools, "a list of tools")) {
    const Node::Entry* const type = tool->get("type");
    if (type == nullptr || !is_text(*type->value, "function")) {
      throw PlacedError(ErrorCode::unsupported, tools.place,
                        "'tools' in the body may be of type function: others are run by nobody here");
    }
    std::vector<Node::Entry> function;
    for (const Node::Entry& entry : tool->map) {
      if (entry.key != "type") function.push_back(entry);
    }
    out.push_back(map_node(
        {*type, entry_of("function", map_node(std::move(function), tool->place), tool->place)}, tool->place));
  }
  return list_node(std::move(out), tools.place);
}

/// `text`: what the answer is held to.
void read_text(const RequestBody& request) {
  GenerationOverrides held;
  const Node::Entry* const structured = request.body.get("structured_outputs");
  if (structured != nullptr) held = read_structured_outputs(*structured);
  if (const Node::Entry* text = request.body.get("text")) {
    if (text->value->kind != Node::Kind::map) ill_typed(*text, "an object {format}");
    check_keys(*text->value, {"format", "verbosity"}, "'text'");
    const Node::Entry* const verbosity = text->value->get("verbosity");
    if (verbosity != nullptr && !is_text(*verbosity->value, "medium"))
      throw PlacedError(ErrorCode::unsupported, verbosity->place, "'verbosity' in the body is not supported");
    const Node::Entry* const format = text->value->get("format");
    if (format != nullptr && structured != nullptr)
      request.fail("both 'text.format' and 'structured_outputs' are given: one is allowed");
    if (format != nullptr) held = read_response_format(*format, std::nullopt);
  }
  request.item.generation.insert(request.item.generation.end(), held.begin(), held.end());
}

void read_response_inputs(const RequestBody& request) {
  Item& item = request.item;
  if (const Node::Entry* entry = request.body.get("chat_template_kwargs"))
    item.template_variables = read_template_variables(*entry);
  if (const Node::Entry* reasoning = request.body.get("reasoning")) {
    if (reasoning->value->kind != Node::Kind::map) ill_typed(*reasoning, "an object {effort}");
    check_keys(*reasoning->value, {"effort", "summary", "generate_summary"}, "'reasoning'");
    if (const Node::Entry* effort = reasoning->value->get("effort"))
      item.template_variables["reasoning_effort"] = json_string(text_of(*effort, *effort->value));
    for (const char* key : {"summary", "generate_summary"}) {
      const Node::Entry* const summary = reasoning->value->get(key);
      if (summary != nullptr && !is_text(*summary->value, "auto")) {
        throw PlacedError(ErrorCode::unsupported, summary->place,
                          fmt::format("'{}' of reasoning may be auto: thoughts are given whole", key));
      }
    }
  }
  const Node::Entry* const tools = tools_of_request(request.body);
  if (tools != nullptr) item.tools = read_tools(entry_of("tools", chat_tools(*tools), tools->place));
}

/// `include` and `top_logprobs`: what is kept of the tokens.
void read_response_logprobs(const RequestBody& request) {
  const Node::Entry* const top = request.body.get("top_logprobs");
  const Node::Entry* const include = request.body.get("include");
  const Node::Entry* kept = top;
  if (include != nullptr) {
    for (const NodePointer& one : list_of(*include, "a list of texts")) {
      const std::string& name = text_of(*include, *one);
      if (name != "message.output_text.logprobs" && name != "reasoning.encrypted_content") {
        throw PlacedError(ErrorCode::unsupported, include->place,
                          fmt::format("'include' in the body: '{}' is not supported", shortened(name, 80)));
      }
      if (name == "message.output_text.logprobs") kept = include;
    }
  }
  if (kept == nullptr) return;
  if (top != nullptr) add_setting(request.item, *top, "top_logprobs", setting_of(*top));
  request.item.generation.emplace_back("logprobs", true);
}

}  // namespace

void build_response(const RequestBody& request) {
  check_body(request.body, kResponseKeys);
  read_settings(request, kResponseSettings);
  read_response_logprobs(request);
  read_text(request);
  read_response_inputs(request);
  const NodePointer messages = Messages(request).read();
  const ItemContext& context = request.context;
  const Node::Entry entry = entry_of("input", messages, messages->place);
  read_messages({entry, MessageForms::request, {context.folder, context.job->image_root}}, request.size,
                request.item);
  request.item.task = request.item.images.empty() ? Task::generate : Task::vqa;
}

}  // namespace mmbatch
