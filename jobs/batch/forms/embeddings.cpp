// Embeddings (platform.openai.com/docs/api-reference/embeddings/object).

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/base/text/base64.h"
#include "jobs/batch/forms/answer_form.h"
#include "jobs/results/result_rows.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

class EmbeddingForm : public AnswerForm {
 public:
  EmbeddingForm(AnswerHead head, VectorText text) : AnswerForm(std::move(head)), text_(text) {}

  void add(const AnswerRow& row) override {
    const std::string vector = text_ == VectorText::base64
                                   ? "\"" + to_base64(row.vector) + "\""
                                   : fmt::format("[{}]", fmt::join(embedding_of(row.vector), ", "));
    parts_ += fmt::format("{}{{\"object\": \"embedding\", \"index\": {}, \"embedding\": {}}}",
                          parts_.empty() ? "" : ", ", row.sequence, vector);
  }

  std::string body() const override {
    return fmt::format(
        "{{\"object\": \"list\", \"data\": [{}], \"model\": {}, \"usage\": {{\"prompt_tokens\": {}, "
        "\"total_tokens\": {}}}}}",
        parts_, json_string(head_.model), head_.prompt_tokens, head_.prompt_tokens);
  }

 private:
  VectorText text_;
};

}  // namespace

std::unique_ptr<AnswerForm> embedding_form(AnswerHead head, VectorText text) {
  return std::make_unique<EmbeddingForm>(std::move(head), text);
}

std::unique_ptr<AnswerForm> form_of(AnswerHead head, std::string_view task) {
  const auto request = nlohmann::json::parse(shallow_json(head.request), nullptr, false);
  const auto said = [&](const char* key) {
    const bool is_text = request.is_object() && request.contains(key) && request[key].is_string();
    return is_text ? request[key].get<std::string>() : std::string();
  };
  if (task == "embed") {
    const bool packed = said("encoding_format") == "base64";
    return embedding_form(std::move(head), packed ? VectorText::base64 : VectorText::numbers);
  }
  const std::string url = said("url");
  if (url == "/v1/responses") return response_form(std::move(head));
  if (url == "/v1/completions") return completion_form(std::move(head));
  return chat_form(std::move(head));
}

}  // namespace mmbatch
