#include "jobs/batch/batch_lines.h"

#include <fmt/format.h>

#include "engine/base/sha256.h"
#include "jobs/results/schema.h"
#include "jobs/text/clock.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

enum Column {
  kRun,
  kItem,
  kJob,
  kId,
  kVariant,
  kContentKey,
  kSequence,
  kStatus,
  kAnswer,
  kFinishReason,
  kErrorCode,
  kErrorMessage,
  kPromptTokens,
  kAnswerTokens,
  kCreated,
  kDetails,
  kReasoning,
  kReasoningTokens,
  kModel,
  kFingerprint,
  kTask,
  kRequest,
  kVector,
};

constexpr std::string_view kIdPrefix = "batch_req_";
constexpr std::size_t kIdDigits = 24;
constexpr std::string_view kLineBegin = R"({"id": ")";

std::string last_part(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return std::string(path.substr(path.rfind('/') + 1));
}

}  // namespace

std::string BatchLines::columns(const Database& database) {
  return "r.run_key, r.item_key, j.name, i.id, i.variant, r.content_key, r.sequence, r.status, r.answer, "
         "r.finish_reason, r.error_code, r.error_message, r.prompt_tokens, r.answer_tokens, r.created, "
         "r.details, " +
         result_column(database, "reasoning") + ", " + result_column(database, "reasoning_tokens") +
         ", m.folder, m.fingerprint, i.task, " + item_column(database, "request") +
         ", (SELECT vector FROM embeddings WHERE result_key = r.key)";
}

std::string BatchLines::tables() {
  return "results r JOIN items i ON i.key = r.item_key JOIN jobs j ON j.key = i.job_key "
         "JOIN runs u ON u.key = r.run_key JOIN models m ON m.key = u.model_key";
}

std::string batch_line_id(const Statement& row) {
  Sha256 hash;
  hash.field(row.text(kJob)).field(row.text(kId)).field(static_cast<std::uint64_t>(row.integer(kVariant)));
  hash.field(row.text(kContentKey)).field(row.text(kStatus)).field(row.text(kErrorMessage));
  if (!row.text(kRequest).empty()) hash.field(row.text(kRequest));
  return std::string(kIdPrefix) + hash.hex().substr(0, kIdDigits);
}

std::string id_of_batch_line(std::string_view line) {
  if (line.substr(0, kLineBegin.size()) != kLineBegin ||
      line.find("\"response\": ") == std::string_view::npos)
    return {};
  const std::string_view id = line.substr(kLineBegin.size(), kIdPrefix.size() + kIdDigits);
  return id.substr(0, kIdPrefix.size()) == kIdPrefix && !line.empty() && line.back() == '}' ? std::string(id)
                                                                                            : "";
}

std::optional<std::string> BatchLines::add(const Statement& row) {
  std::optional<std::string> before;
  const bool same = !head_.empty() && row.integer(kItem) == item_ && row.integer(kRun) == run_;
  if (!same) {
    before = end();
    item_ = row.integer(kItem);
    run_ = row.integer(kRun);
    const std::string id = batch_line_id(row);
    head_ =
        fmt::format("{}{}\", \"custom_id\": {}, \"response\": ", kLineBegin, id, json_string(row.text(kId)));
    if (row.text(kStatus) != "answered") {
      tail_ = fmt::format("null, \"error\": {{\"code\": {}, \"message\": {}}}}}",
                          json_string(row.text(kErrorCode)), json_string(row.text(kErrorMessage)));
      return before;
    }
    const std::string digits = id.substr(kIdPrefix.size());
    head_ += fmt::format("{{\"status_code\": 200, \"request_id\": \"req_{}\", \"body\": ", digits);
    form_ = form_of({.digits = digits,
                     .created = static_cast<std::int64_t>(unix_seconds(row.text(kCreated)).value_or(0)),
                     .model = last_part(row.text(kModel)),
                     .fingerprint = "fp_" + std::string(row.text(kFingerprint).substr(0, 12)),
                     .request = std::string(row.text(kRequest)),
                     .prompt_tokens = row.integer(kPromptTokens)},
                    row.text(kTask));
  }
  if (form_ == nullptr) return before;
  form_->add({.sequence = row.integer(kSequence),
              .answer = row.text(kAnswer),
              .finish_reason = row.text(kFinishReason),
              .details = row.text(kDetails),
              .reasoning = row.text(kReasoning),
              .vector = row.text(kVector),
              .answer_tokens = row.integer(kAnswerTokens),
              .reasoning_tokens = row.integer(kReasoningTokens),
              .thinks = row.type(kReasoningTokens) != Statement::Type::null});
  return before;
}

std::optional<std::string> BatchLines::end() {
  if (head_.empty()) return std::nullopt;
  std::string line = std::move(head_);
  line += form_ == nullptr ? tail_ : form_->body() + "}, \"error\": null}";
  *this = BatchLines();
  return line;
}

}  // namespace mmbatch
