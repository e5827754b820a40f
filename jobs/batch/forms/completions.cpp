// Chat completions (platform.openai.com/docs/api-reference/chat/object) and the older completions
// (…/completions/object).

#include <fmt/format.h>

#include "jobs/batch/forms/answer_form.h"
#include "jobs/batch/forms/token_logprobs.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

const char* finish_reason(std::string_view reason) {
  return reason == "length" ? "length" : "stop";
}

class ChatForm : public AnswerForm {
 public:
  using AnswerForm::AnswerForm;

  void add(const AnswerRow& row) override {
    const std::string reasoning =
        row.reasoning.empty() ? "" : fmt::format(", \"reasoning_content\": {}", json_string(row.reasoning));
    const LoggedTokens logged(row.details, row.answer);
    parts_ += fmt::format(
        "{}{{\"index\": {}, \"message\": {{\"role\": \"assistant\", \"content\": {}{}}}, \"logprobs\": {}, "
        "\"finish_reason\": \"{}\"}}",
        parts_.empty() ? "" : ", ", row.sequence, json_string(row.answer), reasoning,
        logged.kept ? "{\"content\":" + logprobs_json(logged.tokens) + "}" : "null",
        finish_reason(row.finish_reason));
    count(row);
  }

  std::string body() const override { return completion("chatcmpl-", "chat.completion"); }
};

/// {tokens, token_logprobs, top_logprobs, text_offset}: offsets in characters from the answer's beginning.
std::string lists_json(const std::vector<LoggedToken>& tokens) {
  std::string texts, logprobs, top, offsets;
  std::size_t offset = 0;
  for (const LoggedToken& token : tokens) {
    const char* const comma = texts.empty() ? "" : ", ";
    texts += comma + json_string(token.text);
    logprobs += comma + token.logprob;
    offsets += fmt::format("{}{}", comma, offset);
    std::string alternatives;
    for (const LoggedToken& one : token.top) {
      alternatives +=
          fmt::format("{}{}: {}", alternatives.empty() ? "" : ", ", json_string(one.text), one.logprob);
    }
    top += fmt::format("{}{{{}}}", comma, alternatives);
    for (const char c : token.text) offset += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
  }
  return fmt::format(
      "{{\"tokens\": [{}], \"token_logprobs\": [{}], \"top_logprobs\": [{}], \"text_offset\": [{}]}}", texts,
      logprobs, top, offsets);
}

class CompletionForm : public AnswerForm {
 public:
  using AnswerForm::AnswerForm;

  void add(const AnswerRow& row) override {
    const LoggedTokens logged(row.details, row.answer);
    parts_ += fmt::format("{}{{\"index\": {}, \"text\": {}, \"logprobs\": {}, \"finish_reason\": \"{}\"}}",
                          parts_.empty() ? "" : ", ", row.sequence, json_string(row.answer),
                          logged.kept ? lists_json(logged.tokens) : "null", finish_reason(row.finish_reason));
    count(row);
  }

  std::string body() const override { return completion("cmpl-", "text_completion"); }
};

}  // namespace

std::string AnswerForm::completion(std::string_view id_prefix, std::string_view object) const {
  return fmt::format(
      "{{\"id\": \"{}{}\", \"object\": \"{}\", \"created\": {}, \"model\": {}, \"system_fingerprint\": {}, "
      "\"choices\": [{}], \"usage\": {{\"prompt_tokens\": {}, \"completion_tokens\": {}, \"total_tokens\": "
      "{}{}}}}}",
      id_prefix, head_.digits, object, head_.created, json_string(head_.model),
      json_string(head_.fingerprint), parts_, head_.prompt_tokens, completion_tokens_,
      head_.prompt_tokens + completion_tokens_,
      thinks_
          ? fmt::format(", \"completion_tokens_details\": {{\"reasoning_tokens\": {}}}", reasoning_tokens_)
          : "");
}

void AnswerForm::count(const AnswerRow& row) {
  completion_tokens_ += row.answer_tokens + row.reasoning_tokens;
  thinks_ = thinks_ || row.thinks;
  reasoning_tokens_ += row.reasoning_tokens;
}

std::unique_ptr<AnswerForm> chat_form(AnswerHead head) {
  return std::make_unique<ChatForm>(std::move(head));
}

std::unique_ptr<AnswerForm> completion_form(AnswerHead head) {
  return std::make_unique<CompletionForm>(std::move(head));
}

}  // namespace mmbatch
