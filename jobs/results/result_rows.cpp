#include "jobs/results/result_rows.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/base/sha256.h"
#include "jobs/metrics/metrics.h"
#include "jobs/text/clock.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

std::string images_json(const Item& item) {
  std::vector<std::string> written;
  for (const Item::Image& image : item.images) written.push_back(image.written);
  return json_array(written);
}

void bind_text_or_null(Statement& statement, int index, const std::string& text) {
  if (text.empty())
    statement.bind_null(index);
  else
    statement.bind(index, text);
}

// Parameters of the statement that inserts a result.
enum ResultColumn {
  kRun = 1,
  kItem,
  kSequence,
  kStatus,
  kAnswer,
  kFinishReason,
  kCorrect,
  kScore,
  kLogprob,
  kPromptTokens,
  kAnswerTokens,
  kErrorStage,
  kErrorCode,
  kErrorMessage,
  kVisionMs,
  kTextMs,
  kQueueMs,
  kPrefillMs,
  kDecodeMs,
  kTotalMs,
  kCreated,
  kDetails,
  kContentKey,
  kAnswerPhrase,
  kProbabilities,
  kReasoning,
  kReasoningTokens,
  kRegions,
  kClosed,
  kResultColumns = kClosed,
};

}  // namespace

std::string item_digest(const Item& item, const std::vector<std::string>& image_sha256) {
  Sha256 hash;
  hash.field(to_string(item.task))
      .field(item.prompt)
      .field(images_json(item))
      .field(json_array(image_sha256));
  hash.field(json_array(item.references))
      .field(item.question_type)
      .field(item.answer_type)
      .field(item.metadata_digest.empty() ? item.metadata : item.metadata_digest);
  for (const std::string& text : item.further_texts) hash.field("further text").field(text);
  if (!item.request.empty()) hash.field("request").field(item.request);  // digests of before have none
  return hash.digest().substr(0, 16);
}

std::string from_hex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
  }
  return bytes;
}

std::string embedding_bytes(const std::vector<float>& embedding) {
  static_assert(std::endian::native == std::endian::little);
  return {reinterpret_cast<const char*>(embedding.data()), embedding.size() * sizeof(float)};
}

std::vector<float> embedding_of(std::string_view bytes) {
  std::vector<float> embedding(bytes.size() / sizeof(float));
  if (!embedding.empty()) std::memcpy(embedding.data(), bytes.data(), embedding.size() * sizeof(float));
  return embedding;
}

ResultRows::ResultRows(Database& database)
    : database_(database),
      phrases_(database),
      find_items_(database, "SELECT key, digest FROM items WHERE job_key = ?1 AND id = ?2 AND variant = ?3"),
      insert_item_(
          database,
          "INSERT INTO items(job_key, id, variant, position, task, prompt, images, image_sha256, "
          "\"references\", question_type, answer_type, metadata, digest, prompt_phrase, request, document, "
          "page, frame_times) "
          "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)"),
      find_error_(database,
                  "SELECT 1 FROM results INDEXED BY results_item WHERE item_key = ?1 AND run_key = ?2 AND "
                  "current = 1 AND status = 'failed' "
                  "AND error_stage = ?3 AND error_code = ?4 AND error_message = ?5"),
      retire_(database,
              "UPDATE results INDEXED BY results_item SET current = CASE WHEN run_key = ?2 THEN -1 ELSE "
              "min(current, 0) END "
              "WHERE item_key = ?1 AND (current = 1 OR (current = 0 AND run_key = ?2))"),
      remove_(database,
              "DELETE FROM results INDEXED BY results_item WHERE item_key = ?1 AND run_key = ?2 AND (status "
              "= 'failed' OR "
              "content_key = ?3)"),
      insert_result_(
          database,
          "INSERT INTO results(run_key, item_key, sequence, current, status, answer, finish_reason, correct, "
          "score, logprob, prompt_tokens, answer_tokens, error_stage, error_code, error_message, vision_ms, "
          "text_ms, queue_ms, prefill_ms, decode_ms, total_ms, created, details, content_key, "
          "answer_phrase, probabilities, reasoning, reasoning_tokens, regions, closed) "
          "VALUES(?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, "
          "?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29)"),
      insert_embedding_(database, "INSERT INTO embeddings(result_key, width, vector) VALUES(?1, ?2, ?3)") {}

void ResultRows::write(std::int64_t run, std::int64_t job_key, const ItemResult& result,
                       const std::string& created) {
  const ItemIdentity identity{job_key, result.item->id, result.item->variant};
  const std::string digest = item_digest(*result.item, result.image_sha256);
  std::int64_t item = 0;
  const std::vector<Older> older = older_items(identity);
  for (const Older& one : older) {
    if (one.digest == digest) item = one.key;
  }
  // A resume meets the failures of reading again: what is there need not be written again.
  if (item != 0 && result.failure && is_written(run, item, *result.failure)) return;
  retire(run, older, from_hex(result.content_key));
  if (item == 0) item = insert_item(identity, result, digest);
  const std::string time = created.empty() ? utc_now() : created;
  if (result.failure)
    insert_error(run, item, result, time);
  else
    insert_answers(run, item, result, rules_[job_key], time);
}

std::vector<ResultRows::Older> ResultRows::older_items(const ItemIdentity& identity) {
  find_items_.bind(1, identity.job_key)
      .bind(2, identity.id)
      .bind(3, static_cast<std::int64_t>(identity.variant));
  std::vector<Older> found;
  while (find_items_.step()) found.push_back({find_items_.integer(0), std::string(find_items_.text(1))});
  find_items_.reset();
  return found;
}

bool ResultRows::is_written(std::int64_t run, std::int64_t item_key, const Failure& failure) {
  find_error_.bind(1, item_key).bind(2, run).bind(3, failure.stage).bind(4, failure.code_name());
  const bool found = find_error_.bind(5, failure.message).step();
  find_error_.reset();
  return found;
}

void ResultRows::retire(std::int64_t run, const std::vector<Older>& items, const std::string& content_key) {
  for (const Older& item : items) {
    remove_.bind(1, item.key).bind(2, run).bind_blob(3, content_key).run();
    retire_.bind(1, item.key).bind(2, run).run();
  }
}

std::int64_t ResultRows::insert_item(const ItemIdentity& identity, const ItemResult& result,
                                     const std::string& digest) {
  const Item& item = *result.item;
  Statement& insert = insert_item_;
  insert.bind(1, identity.job_key).bind(2, identity.id).bind(3, static_cast<std::int64_t>(identity.variant));
  insert.bind(4, static_cast<std::int64_t>(item.position))
      .bind(5, to_string(item.task))
      .bind(6, Phrases::in_row(item.prompt));
  insert.bind(7, images_json(item))
      .bind(8, json_array(result.image_sha256))
      .bind(9, json_array(item.references));
  bind_text_or_null(insert, 10, item.question_type);
  bind_text_or_null(insert, 11, item.answer_type);
  bind_text_or_null(insert, 12, item.metadata);
  insert.bind_blob(13, digest).bind(14, phrases_.key_of(item.prompt));
  bind_text_or_null(insert, 15, item.request);
  bind_text_or_null(insert, 16, item.document);
  insert.bind_null(17);
  if (item.page > 0) insert.bind(17, std::int64_t{item.page});
  bind_text_or_null(insert, 18, item.frame_times);
  insert.run();
  return database_.last_row();
}

void ResultRows::bind_common(std::int64_t run, std::int64_t item, const ItemResult& result,
                             const std::string& created) {
  Statement& insert = insert_result_;
  for (int i = kAnswer; i <= kResultColumns; ++i) insert.bind_null(i);
  const ItemResult::Timings& ms = result.ms;
  insert.bind(kRun, run).bind(kItem, item).bind(kSequence, 0).bind(kPromptTokens, result.prompt_tokens);
  insert.bind(kVisionMs, ms.vision)
      .bind(kTextMs, ms.text)
      .bind(kQueueMs, ms.queue)
      .bind(kPrefillMs, ms.prefill);
  insert.bind(kDecodeMs, ms.decode).bind(kTotalMs, ms.total).bind(kCreated, created);
  if (!result.content_key.empty()) insert.bind_blob(kContentKey, from_hex(result.content_key));
}

/// What a model wrote, whether the answer is whole or was cut.
void ResultRows::bind_written(const ItemResult::Answer& answer) {
  Statement& insert = insert_result_;
  insert.bind(kAnswer, answer.text).bind(kAnswerPhrase, phrases_.key_of(answer.text));
  bind_text_or_null(insert, kFinishReason, answer.finish_reason);
  insert.bind(kLogprob, answer.logprob).bind(kAnswerTokens, answer.answer_tokens);
  bind_text_or_null(insert, kReasoning, answer.reasoning);
  insert.bind(kReasoningTokens, answer.reasoning_tokens);
}

void ResultRows::insert_error(std::int64_t run, std::int64_t item, const ItemResult& result,
                              const std::string& created) {
  // Answers that were cut are kept beside their failure, each in its row.
  for (std::size_t i = 0; i < std::max<std::size_t>(1, result.answers.size()); ++i) {
    bind_common(run, item, result, created);
    Statement& insert = insert_result_;
    if (i < result.answers.size()) {
      insert.bind(kSequence, static_cast<std::int64_t>(i));
      bind_written(result.answers[i]);
    }
    insert.bind(kStatus, "failed").bind(kErrorStage, result.failure->stage);
    insert.bind(kErrorCode, result.failure->code_name()).bind(kErrorMessage, result.failure->message).run();
  }
}

void ResultRows::insert_answers(std::int64_t run, std::int64_t item, const ItemResult& result,
                                const FieldRules& rules, const std::string& created) {
  int sequence = 0;
  for (const ItemResult::Answer& answer : result.answers) {
    bind_common(run, item, result, created);
    Statement& insert = insert_result_;
    insert.bind(kSequence, sequence++).bind(kStatus, "answered");
    bind_written(answer);
    bind_text_or_null(insert, kDetails, answer.details);
    bind_text_or_null(insert, kProbabilities, answer.probabilities);
    bind_text_or_null(insert, kRegions, answer.regions);
    if (answer.closed) insert.bind(kClosed, std::int64_t{*answer.closed});
    if (const auto score = score_answer(answer.text, result.item->references, rules)) {
      insert.bind(kCorrect, score->correct ? 1 : 0).bind(kScore, score->score);
    }
    insert.run();
    if (answer.embedding.empty()) continue;
    insert_embedding_.bind(1, database_.last_row())
        .bind(2, static_cast<std::int64_t>(answer.embedding.size()));
    insert_embedding_.bind_blob(3, embedding_bytes(answer.embedding)).run();
  }
}

}  // namespace mmbatch
