#include "jobs/item/constraint/constraint_keys.h"
#include "jobs/item/requests/request_body.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

const std::vector<RequestSetting> kCompletionSettings = {{"max_tokens", "max_new_tokens"},
                                                         {"top_p", "top_p"},
                                                         {"n", "num_return_sequences"},
                                                         {"stop", "stop_strings"},
                                                         {"seed", "seed"},
                                                         {"presence_penalty", "presence_penalty"},
                                                         {"frequency_penalty", "frequency_penalty"}};

const BodyKeys kCompletionKeys = {
    .known = {"prompt", "model", "max_tokens", "temperature", "top_p", "n", "stop", "seed", "logprobs",
              "presence_penalty", "frequency_penalty", "response_format", "structured_outputs"},
    .ignored = {"user"},
    .unsupported = {"stream", "stream_options", "suffix", "echo", "best_of", "logit_bias"}};

/// The text to go on with: a text, or a list of one.
std::string prompt_of(const RequestBody& request) {
  const Node::Entry* const entry = request.body.get("prompt");
  if (entry == nullptr) request.fail("the body has no 'prompt'");
  const Node* value = entry->value.get();
  if (value->kind == Node::Kind::list && value->list.size() == 1) value = value->list.front().get();
  if (value->kind == Node::Kind::list || value->kind == Node::Kind::number) {
    throw PlacedError(ErrorCode::unsupported, entry->place,
                      "'prompt' in the body must be one text: several prompts take a line each, and lists of "
                      "tokens are not supported");
  }
  std::string prompt = text_of(*entry, *value);
  request.size.add(prompt.size());
  if (stripped(prompt).empty()) throw PlacedError(ErrorCode::prompt_empty, entry->place, "'prompt' is empty");
  return prompt;
}

/// Here a number: so many alternatives of each token; 0 keeps the tokens themselves.
void read_logprobs(const RequestBody& request) {
  const Node::Entry* const entry = request.body.get("logprobs");
  if (entry == nullptr) return;
  request.item.setting_names["top_logprobs"] = "logprobs";
  add_setting(request.item, *entry, "top_logprobs", setting_of(*entry));
  add_setting(request.item, *entry, "logprobs", true);
}

}  // namespace

void build_completion(const RequestBody& request) {
  check_body(request.body, kCompletionKeys);
  Item& item = request.item;
  read_settings(request, kCompletionSettings);
  read_logprobs(request);
  GenerationOverrides held;
  const Node::Entry* const format = request.body.get("response_format");
  const Node::Entry* const structured = request.body.get("structured_outputs");
  if (format != nullptr && structured != nullptr)
    request.fail("both 'response_format' and 'structured_outputs' are given: one is allowed");
  if (format != nullptr) held = read_response_format(*format, std::nullopt);
  if (structured != nullptr) held = read_structured_outputs(*structured);
  item.generation.insert(item.generation.end(), held.begin(), held.end());
  item.task = Task::generate;
  item.form = PromptForm::raw;
  item.prompt = prompt_of(request);
}

}  // namespace mmbatch
