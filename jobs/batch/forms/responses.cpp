// Responses (platform.openai.com/docs/api-reference/responses/object).

#include <fmt/format.h>

#include "jobs/batch/forms/answer_form.h"
#include "jobs/batch/forms/token_logprobs.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

/// A response has one answer: thoughts and a message.
class ResponseForm : public AnswerForm {
 public:
  using AnswerForm::AnswerForm;

  void add(const AnswerRow& row) override {
    const bool whole = row.finish_reason != "length";
    is_whole_ = is_whole_ && whole;
    const char* const status = whole ? "completed" : "incomplete";
    if (!row.reasoning.empty()) {
      parts_ += fmt::format(
          "{}{{\"type\": \"reasoning\", \"id\": \"rs_{}\", \"summary\": [], \"content\": [{{\"type\": "
          "\"reasoning_text\", \"text\": {}}}]}}",
          parts_.empty() ? "" : ", ", head_.digits, json_string(row.reasoning));
    }
    parts_ += fmt::format(
        "{}{{\"type\": \"message\", \"id\": \"msg_{}\", \"status\": \"{}\", \"role\": \"assistant\", "
        "\"content\": [{{\"type\": \"output_text\", \"text\": {}, \"annotations\": [], \"logprobs\": {}}}]}}",
        parts_.empty() ? "" : ", ", head_.digits, status, json_string(row.answer),
        logprobs_json(LoggedTokens(row.details, row.answer).tokens));
    count(row);
  }

  std::string body() const override {
    return fmt::format(
        "{{\"id\": \"resp_{}\", \"object\": \"response\", \"created_at\": {}, \"status\": \"{}\", \"error\": "
        "null, \"incomplete_details\": {}, \"model\": {}, \"output\": [{}], \"usage\": {{\"input_tokens\": "
        "{}, "
        "\"input_tokens_details\": {{\"cached_tokens\": 0}}, \"output_tokens\": {}, "
        "\"output_tokens_details\": "
        "{{\"reasoning_tokens\": {}}}, \"total_tokens\": {}}}}}",
        head_.digits, head_.created, is_whole_ ? "completed" : "incomplete",
        is_whole_ ? "null" : "{\"reason\": \"max_output_tokens\"}", json_string(head_.model), parts_,
        head_.prompt_tokens, completion_tokens_, reasoning_tokens_, head_.prompt_tokens + completion_tokens_);
  }

 private:
  bool is_whole_ = true;
};

}  // namespace

std::unique_ptr<AnswerForm> response_form(AnswerHead head) {
  return std::make_unique<ResponseForm>(std::move(head));
}

}  // namespace mmbatch
