#include <fmt/format.h>

#include <algorithm>

#include "jobs/item/constraint/constraint_keys.h"
#include "jobs/item/dialogue/message_reader.h"
#include "jobs/item/item_builder.h"
#include "jobs/text/json_text.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

constexpr const char* kUrl = "/v1/chat/completions";

const std::vector<std::string> kRequestKeys = {"custom_id", "method", "url", "body"};

/// Keys of the body, and what they are called here.
struct Setting {
  const char* written;
  const char* name;
};
constexpr Setting kSettings[] = {{"max_tokens", "max_new_tokens"},
                                 {"max_completion_tokens", "max_new_tokens"},
                                 {"max_reasoning_tokens", "max_reasoning_tokens"},
                                 {"top_p", "top_p"},
                                 {"n", "num_return_sequences"},
                                 {"stop", "stop_strings"},
                                 {"seed", "seed"},
                                 {"logprobs", "logprobs"},
                                 {"top_logprobs", "top_logprobs"},
                                 {"presence_penalty", "presence_penalty"},
                                 {"frequency_penalty", "frequency_penalty"},
                                 {"no_repeat_ngram_size", "no_repeat_ngram_size"},
                                 {"no_repeat_ngram_window", "no_repeat_ngram_window"},
                                 {"no_repeat_ngram_whitelist", "no_repeat_ngram_whitelist"},
                                 {"repetition_ngram_size", "repetition_ngram_size"},
                                 {"repetition_window", "repetition_window"}};

const std::vector<std::string> kBodyKeys = {"messages",
                                            "model",
                                            "max_tokens",
                                            "max_completion_tokens",
                                            "temperature",
                                            "top_p",
                                            "n",
                                            "stop",
                                            "seed",
                                            "logprobs",
                                            "top_logprobs",
                                            "presence_penalty",
                                            "frequency_penalty",
                                            "no_repeat_ngram_size",
                                            "no_repeat_ngram_window",
                                            "no_repeat_ngram_whitelist",
                                            "repetition_ngram_size",
                                            "repetition_window",
                                            "max_reasoning_tokens",
                                            "tools",
                                            "tool_choice",
                                            "parallel_tool_calls",
                                            "reasoning_effort",
                                            "chat_template_kwargs",
                                            "response_format",
                                            "structured_outputs"};
/// Without effect on an answer that is computed here.
const std::vector<std::string> kIgnored = {"user",
                                           "metadata",
                                           "store",
                                           "service_tier",
                                           "safety_identifier",
                                           "prompt_cache_key",
                                           "prompt_cache_retention"};
/// Supported only as long as they ask for nothing.
const std::vector<std::string> kUnsupported = {
    "functions",  "function_call", "logit_bias",         "modalities",     "audio",
    "prediction", "stream",        "web_search_options", "stream_options", "verbosity"};

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_text(const Node& value, std::string_view text) {
  return value.kind == Node::Kind::text && value.text == text;
}

/// {"type": "text"}, ["text"], [], {}, "none": as if it were not there.
bool asks_for_nothing(const Node::Entry& entry) {
  const Node& value = *entry.value;
  const std::string& key = entry.key;
  if (value.kind == Node::Kind::list && value.list.empty()) return true;
  if (value.kind == Node::Kind::map && value.map.empty()) return true;
  if (key == "stream") return value.kind == Node::Kind::boolean && !value.is_true();
  if (key == "function_call") return is_text(value, "none") || is_text(value, "auto");
  if (key == "modalities")
    return value.kind == Node::Kind::list && value.list.size() == 1 && is_text(*value.list[0], "text");
  return false;
}

class RequestBuilder {
 public:
  RequestBuilder(const Node& node, const ItemContext& context, Item& item)
      : node_(node), context_(context), item_(item), size_(context) {}

  void build() {
    read_id();
    check_keys(node_, kRequestKeys, "a batch request");
    if (item_.id_from != Item::IdFrom::listing) fail("a batch request needs 'custom_id'");
    check_target();
    const Node::Entry* const body = node_.get("body");
    if (body == nullptr) fail("a batch request needs 'body'");
    if (body->value->kind != Node::Kind::map) ill_typed(*body, "an object");
    check_body(*body->value);
    read_settings(*body->value);
    read_template_inputs(*body->value);
    const Node::Entry* const messages = body->value->get("messages");
    if (messages == nullptr) fail("the body has no 'messages'");
    read_messages({*messages, MessageForms::request, {context_.folder, context_.job->image_root}}, size_,
                  item_);
    item_.task = item_.images.empty() ? Task::generate : Task::vqa;
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw PlacedError(ErrorCode::invalid_item, context_.place, problem);
  }

  void read_id() {
    const Node::Entry* const entry = node_.get("custom_id");
    if (entry == nullptr) return;
    const std::string& id = text_of(*entry, *entry->value);
    if (stripped(id).empty()) ill_typed(*entry, "a text that is not empty");
    size_.add(id.size());
    item_.id = id;
    item_.id_from = Item::IdFrom::listing;
  }

  void check_target() const {
    const Node::Entry* const method = node_.get("method");
    if (method != nullptr && !is_text(*method->value, "POST")) ill_typed(*method, "POST");
    const Node::Entry* const url = node_.get("url");
    if (url != nullptr && !is_text(*url->value, kUrl))
      throw PlacedError(ErrorCode::unsupported, url->place, fmt::format("key 'url' must be {}", kUrl));
  }

  static void check_body(const Node& body) {
    check_unique(body);
    for (const Node::Entry& entry : body.map) {
      if (entry.value->kind == Node::Kind::null || contains(kBodyKeys, entry.key) ||
          contains(kIgnored, entry.key))
        continue;
      if (contains(kUnsupported, entry.key)) {
        if (asks_for_nothing(entry)) continue;
        throw PlacedError(ErrorCode::unsupported, entry.place,
                          fmt::format("'{}' in the body is not supported", entry.key));
      }
      const std::string nearest = nearest_name(entry.key, kBodyKeys);
      throw PlacedError(ErrorCode::unknown_key, entry.place,
                        fmt::format("unknown key '{}' in the body{}", shortened(entry.key, 80),
                                    nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest)));
    }
  }

  void read_settings(const Node& body) {
    for (const Setting& setting : kSettings) {
      const Node::Entry* const entry = body.get(setting.written);
      if (entry == nullptr) continue;
      item_.setting_names[setting.name] = setting.written;
      add(*entry, setting.name, setting_of(*entry));
    }
    const Node::Entry* const format = body.get("response_format");
    const Node::Entry* const structured = body.get("structured_outputs");
    if (format != nullptr && structured != nullptr)
      fail("both 'response_format' and 'structured_outputs' are given: one is allowed");
    GenerationOverrides held;
    if (format != nullptr) held = read_response_format(*format, std::nullopt);
    if (structured != nullptr) held = read_structured_outputs(*structured);
    item_.generation.insert(item_.generation.end(), held.begin(), held.end());
    item_.setting_names["do_sample"] = "a 'temperature' above 0";
    const Node::Entry* const entry = body.get("temperature");
    if (entry == nullptr) return;
    const double temperature = entry->value->kind == Node::Kind::number ? real_of(entry->value->text) : -1;
    if (!(temperature >= 0 && temperature <= 2)) ill_typed(*entry, "a number from 0 to 2");
    add(*entry, "do_sample", temperature > 0);
    if (temperature == 0) return;
    add(*entry, "temperature", setting_of(*entry));
    add(*entry, "top_k", std::int64_t{0});
  }

  /// What goes to the chat template. An answer that calls a tool is a text as the model writes it.
  void read_template_inputs(const Node& body) {
    if (const Node::Entry* entry = body.get("chat_template_kwargs"))
      item_.template_variables = read_template_variables(*entry);
    if (const Node::Entry* entry = body.get("reasoning_effort"))
      item_.template_variables["reasoning_effort"] = json_string(text_of(*entry, *entry->value));
    const Node::Entry* const choice = body.get("tool_choice");
    const bool none = choice != nullptr && is_text(*choice->value, "none");
    if (choice != nullptr && !none && !is_text(*choice->value, "auto")) {
      throw PlacedError(ErrorCode::unsupported, choice->place,
                        "'tool_choice' in the body may be auto or none: a call cannot be forced");
    }
    const Node::Entry* const parallel = body.get("parallel_tool_calls");
    if (parallel != nullptr && parallel->value->kind != Node::Kind::boolean)
      ill_typed(*parallel, "true or false");
    const Node::Entry* const tools = body.get("tools");
    if (tools != nullptr && !none) item_.tools = read_tools(*tools);
  }

  /// A setting is checked at once, and its fault said in the words of the request.
  void add(const Node::Entry& entry, const char* name, GenerationValue value) {
    GenerationConfig checked;
    try {
      set(checked, name, value);
    } catch (const GenerationError& e) {
      throw PlacedError(ErrorCode::invalid_value, entry.place,
                        fmt::format("in the body, {}", e.message({{name, entry.key}})));
    }
    item_.generation.emplace_back(name, std::move(value));
  }

  const Node& node_;
  const ItemContext& context_;
  Item& item_;
  ItemSize size_;
};

}  // namespace

bool is_request(const Node& node) {
  return node.find("custom_id") != nullptr || node.find("body") != nullptr;
}

ReadItem build_request(const Node& node, const ItemContext& context) {
  if (node.kind != Node::Kind::map) {
    return failed_item(context, PlacedError(ErrorCode::invalid_item, context.place,
                                            "a batch request must be an object {key: value, …}"));
  }
  return built_item(context, [&](Item& item) {
    item.form = PromptForm::turns;
    RequestBuilder(node, context, item).build();
  });
}

}  // namespace mmbatch
