#include "jobs/item/constraint/constraint_keys.h"
#include "jobs/item/dialogue/message_reader.h"
#include "jobs/item/requests/request_body.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

const std::vector<RequestSetting> kChatSettings = {{"max_tokens", "max_new_tokens"},
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

const BodyKeys kChatKeys = {
    .known = {"messages",
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
              "structured_outputs"},
    .ignored = {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
                "prompt_cache_retention"},
    .unsupported = {"functions", "function_call", "logit_bias", "modalities", "audio", "prediction", "stream",
                    "web_search_options", "stream_options", "verbosity"}};

/// What answers are held to.
void read_form(const RequestBody& request) {
  const Node::Entry* const format = request.body.get("response_format");
  const Node::Entry* const structured = request.body.get("structured_outputs");
  if (format != nullptr && structured != nullptr)
    request.fail("both 'response_format' and 'structured_outputs' are given: one is allowed");
  GenerationOverrides held;
  if (format != nullptr) held = read_response_format(*format, std::nullopt);
  if (structured != nullptr) held = read_structured_outputs(*structured);
  request.item.generation.insert(request.item.generation.end(), held.begin(), held.end());
}

/// What goes to the chat template. An answer that calls a tool is a text as the model writes it.
void read_template_inputs(const RequestBody& request) {
  Item& item = request.item;
  if (const Node::Entry* entry = request.body.get("chat_template_kwargs"))
    item.template_variables = read_template_variables(*entry);
  if (const Node::Entry* entry = request.body.get("reasoning_effort"))
    item.template_variables["reasoning_effort"] = json_string(text_of(*entry, *entry->value));
  if (const Node::Entry* tools = tools_of_request(request.body)) item.tools = read_tools(*tools);
}

}  // namespace

void build_chat(const RequestBody& request) {
  check_body(request.body, kChatKeys);
  read_settings(request, kChatSettings);
  read_form(request);
  read_template_inputs(request);
  const Node::Entry* const messages = request.body.get("messages");
  if (messages == nullptr) request.fail("the body has no 'messages'");
  const ItemContext& context = request.context;
  read_messages({*messages, MessageForms::request, {context.folder, context.job->image_root}}, request.size,
                request.item);
  request.item.task = request.item.images.empty() ? Task::generate : Task::vqa;
}

}  // namespace mmbatch
