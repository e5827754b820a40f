#include "jobs/batch/batch_lines.h"

#include <fmt/format.h>

#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>

#include "engine/base/sha256.h"
#include "engine/base/text/utf8.h"
#include "jobs/results/schema.h"
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

using Json = nlohmann::json;

/// What earlier databases have: tokens as sentencepiece's vocabulary writes them.
std::string text_of_piece(std::string_view piece) {
  if (piece.size() == 6 && piece.substr(0, 3) == "<0x" && piece.back() == '>') {
    unsigned byte = 0;
    const auto [end, error] = std::from_chars(piece.data() + 3, piece.data() + 5, byte, 16);
    if (error == std::errc{} && end == piece.data() + 5) return {static_cast<char>(byte)};
  }
  return replace_all(piece, "\xE2\x96\x81", " ");
}

class LogprobsJson {
 public:
  /// @param details as the database has them
  explicit LogprobsJson(std::string_view details) {
    kept_ = Json::parse(details.begin(), details.end(), nullptr, false);
    if (kept_.is_object() && kept_.contains("logprobs") && kept_["logprobs"].is_array()) {
      is_there_ = true;
      are_texts_ = kept_.contains("tokens") && kept_["tokens"] == "text";
    }
  }

  /// In the form of a chat completion; "null" when none were kept.
  std::string text(std::string_view answer) const {
    if (!is_there_) return "null";
    const Json& tokens = kept_["logprobs"];
    const Json top = kept_.value("top_logprobs", Json::array());
    Json content = Json::array();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      // The space that a vocabulary puts before a text's first word is not part of the answer.
      const Place place = i == 0 && answer.substr(0, 1) != " " ? Place::first : Place::later;
      Json one = entry(tokens[i], place);
      one["top_logprobs"] = Json::array();
      if (i < top.size() && top[i].is_array()) {
        for (const Json& alternative : top[i]) one["top_logprobs"].push_back(entry(alternative, place));
      }
      content.push_back(std::move(one));
    }
    return Json{{"content", std::move(content)}}.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

 private:
  enum class Place { first, later };

  Json entry(const Json& token, Place place) const {
    std::string text;
    if (token.is_object() && token.contains("token") && token["token"].is_string()) text = token["token"];
    if (!are_texts_) text = text_of_piece(text);
    if (!are_texts_ && place == Place::first && text.size() > 1 && text[0] == ' ') text.erase(0, 1);
    Json bytes = Json::array();
    for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
    return {{"token", text},
            {"logprob", token.is_object() ? token.value("logprob", Json()) : Json()},
            {"bytes", std::move(bytes)}};
  }

  Json kept_;
  bool is_there_ = false, are_texts_ = false;
};

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
         ", m.folder, m.fingerprint";
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
  const std::string reasoning = row.text(kReasoning).empty() ? ""
                                                             : fmt::format(", \"reasoning_content\": {}",
                                                                           json_string(row.text(kReasoning)));
  choices_ += fmt::format(
      "{}{{\"index\": {}, \"message\": {{\"role\": \"assistant\", \"content\": {}{}}}, \"logprobs\": {}, "
      "\"finish_reason\": \"{}\"}}",
      choices_.empty() ? "" : ", ", row.integer(kSequence), json_string(row.text(kAnswer)), reasoning,
      LogprobsJson(row.text(kDetails)).text(row.text(kAnswer)), finish_reason(row.text(kFinishReason)));
  completion_tokens_ += row.integer(kAnswerTokens) + row.integer(kReasoningTokens);
  thinks_ = thinks_ || row.type(kReasoningTokens) != Statement::Type::null;
  reasoning_tokens_ += row.integer(kReasoningTokens);
  return before;
}

std::optional<std::string> BatchLines::end() {
  if (head_.empty()) return std::nullopt;
  std::string line = std::move(head_);
  if (choices_.empty()) {
    line += tail_;
  } else {
    line += fmt::format(
        "{}], \"usage\": {{\"prompt_tokens\": {}, \"completion_tokens\": {}, \"total_tokens\": {}{}}}}}}}, "
        "\"error\": "
        "null}}",
        choices_, prompt_tokens_, completion_tokens_, prompt_tokens_ + completion_tokens_,
        thinks_
            ? fmt::format(", \"completion_tokens_details\": {{\"reasoning_tokens\": {}}}", reasoning_tokens_)
            : "");
  }
  *this = BatchLines();
  return line;
}

}  // namespace mmbatch
