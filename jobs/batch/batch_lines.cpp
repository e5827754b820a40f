#include "jobs/batch/batch_lines.h"

#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "engine/base/sha256.h"
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
  kModel,
  kFingerprint,
};

constexpr std::string_view kIdPrefix = "batch_req_";
constexpr std::size_t kIdDigits = 24;
constexpr std::string_view kLineBegin = R"({"id": ")";

/// Seconds since 1970 of "2026-01-31T12:34:56.789Z".
std::int64_t unix_time(std::string_view text) {
  std::tm utc{};
  return ::strptime(std::string(text).c_str(), "%Y-%m-%dT%H:%M:%S", &utc) != nullptr ? ::timegm(&utc) : 0;
}

const char* finish_reason(std::string_view reason) {
  return reason == "length" ? "length" : "stop";
}

/// Token log-probabilities in the form of a chat completion; "null" when none were kept.
std::string logprobs_json(std::string_view details) {
  using Json = nlohmann::json;
  if (details.empty()) return "null";
  const Json kept = Json::parse(details, nullptr, false);
  if (!kept.is_object() || !kept.contains("logprobs")) return "null";
  const auto entry = [](const Json& token) {
    return Json{{"token", token.value("token", Json())},
                {"logprob", token.value("logprob", Json())},
                {"bytes", nullptr}};
  };
  Json content = Json::array();
  const Json& tokens = kept["logprobs"];
  const Json top = kept.value("top_logprobs", Json::array());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    Json one = entry(tokens[i]);
    one["top_logprobs"] = Json::array();
    if (i < top.size()) {
      for (const Json& alternative : top[i]) one["top_logprobs"].push_back(entry(alternative));
    }
    content.push_back(std::move(one));
  }
  return Json{{"content", std::move(content)}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string last_part(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return std::string(path.substr(path.rfind('/') + 1));
}

}  // namespace

std::string BatchLines::columns() {
  return "r.run_key, r.item_key, j.name, i.id, i.variant, r.content_key, r.sequence, r.status, r.answer, "
         "r.finish_reason, r.error_code, r.error_message, r.prompt_tokens, r.answer_tokens, r.created, "
         "r.details, "
         "m.folder, m.fingerprint";
}

std::string BatchLines::tables() {
  return "results r JOIN items i ON i.key = r.item_key JOIN jobs j ON j.key = i.job_key "
         "JOIN runs u ON u.key = r.run_key JOIN models m ON m.key = u.model_key";
}

std::string batch_line_id(const Statement& row) {
  Sha256 hash;
  hash.field(row.text(kJob)).field(row.text(kId)).field(static_cast<std::uint64_t>(row.integer(kVariant)));
  hash.field(row.text(kContentKey)).field(row.text(kStatus)).field(row.text(kErrorMessage));
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
    head_ += fmt::format(
        "{{\"status_code\": 200, \"request_id\": \"req_{0}\", \"body\": {{\"id\": \"chatcmpl-{0}\", "
        "\"object\": "
        "\"chat.completion\", \"created\": {1}, \"model\": {2}, \"system_fingerprint\": {3}, \"choices\": [",
        digits, unix_time(row.text(kCreated)), json_string(last_part(row.text(kModel))),
        json_string("fp_" + std::string(row.text(kFingerprint).substr(0, 12))));
    prompt_tokens_ = row.integer(kPromptTokens);
  }
  choices_ += fmt::format(
      "{}{{\"index\": {}, \"message\": {{\"role\": \"assistant\", \"content\": {}}}, \"logprobs\": {}, "
      "\"finish_reason\": \"{}\"}}",
      choices_.empty() ? "" : ", ", row.integer(kSequence), json_string(row.text(kAnswer)),
      logprobs_json(row.text(kDetails)), finish_reason(row.text(kFinishReason)));
  completion_tokens_ += row.integer(kAnswerTokens);
  return before;
}

std::optional<std::string> BatchLines::end() {
  if (head_.empty()) return std::nullopt;
  std::string line = std::move(head_);
  if (choices_.empty()) {
    line += tail_;
  } else {
    line += fmt::format(
        "{}], \"usage\": {{\"prompt_tokens\": {}, \"completion_tokens\": {}, \"total_tokens\": {}}}}}}}, "
        "\"error\": "
        "null}}",
        choices_, prompt_tokens_, completion_tokens_, prompt_tokens_ + completion_tokens_);
  }
  *this = BatchLines();
  return line;
}

}  // namespace mmbatch
