#include "jobs/results/result_rows.h"

namespace mmbatch {
namespace {

std::optional<double> optional_real(const Statement& statement, int column) {
  if (statement.type(column) == Statement::Type::null) return std::nullopt;
  return statement.real(column);
}

}  // namespace

KnownResults::KnownResults(Database& database)
    // Indices are named, for without statistics the planner takes that of the run, which holds a million
    // rows. An item that is answered with this content has rows of that status only.
    : own_(database,
           "SELECT r.status = 'answered', r.current, i.digest FROM items i "
           "CROSS JOIN results r INDEXED BY results_item ON r.item_key = i.key AND r.run_key = ?4 AND "
           "r.content_key = ?5 "
           "WHERE i.job_key = ?1 AND i.id = ?2 AND i.variant = ?3 ORDER BY r.current DESC LIMIT 1"),
      any_(database,
           "SELECT item_key, run_key FROM results INDEXED BY results_content WHERE content_key = ?1 AND "
           "status = 'answered' "
           "ORDER BY key DESC LIMIT 1"),
      rows_(
          database,
          "SELECT answer, finish_reason, logprob, answer_tokens, details, prompt_tokens, vision_ms, text_ms, "
          "queue_ms, prefill_ms, decode_ms, total_ms, created, probabilities, vector, reasoning, "
          "reasoning_tokens, regions, closed FROM results "
          "LEFT JOIN embeddings ON result_key = key WHERE item_key = ?1 AND run_key = ?2 AND content_key = "
          "?3 ORDER BY sequence") {}

KnownResults::Found KnownResults::find(std::int64_t run, const ItemIdentity& identity,
                                       const std::string& content_key, const std::string& digest) {
  own_.bind(1, identity.job_key).bind(2, identity.id).bind(3, static_cast<std::int64_t>(identity.variant));
  own_.bind(4, run).bind_blob(5, from_hex(content_key));
  Found found;
  if (own_.step()) found.own = Own{own_.integer(0) != 0, own_.integer(1) == 1 && own_.text(2) == digest};
  own_.reset();
  const bool settled = found.own && (found.own->in_place || !found.own->answered);
  if (!settled) found.answers = find_answers(content_key, found.created);
  return found;
}

std::optional<ItemResult> KnownResults::find_answers(const std::string& content_key, std::string& created) {
  const std::string key = from_hex(content_key);
  any_.bind_blob(1, key);
  if (!any_.step()) {
    any_.reset();
    return std::nullopt;
  }
  rows_.bind(1, any_.integer(0)).bind(2, any_.integer(1)).bind_blob(3, key);
  any_.reset();
  ItemResult result;
  result.content_key = content_key;
  while (rows_.step()) {
    ItemResult::Answer answer;
    answer.text = rows_.text(0);
    answer.finish_reason = rows_.text(1);
    answer.logprob = optional_real(rows_, 2);
    answer.answer_tokens = static_cast<int>(rows_.integer(3));
    answer.details = rows_.text(4);
    answer.probabilities = rows_.text(13);
    answer.embedding = embedding_of(rows_.text(14));
    answer.reasoning = rows_.text(15);
    if (rows_.type(16) != Statement::Type::null)
      answer.reasoning_tokens = static_cast<int>(rows_.integer(16));
    answer.regions = rows_.text(17);
    if (rows_.type(18) != Statement::Type::null) answer.closed = rows_.integer(18) != 0;
    result.answers.push_back(std::move(answer));
    if (rows_.type(5) != Statement::Type::null) result.prompt_tokens = static_cast<int>(rows_.integer(5));
    result.ms = {optional_real(rows_, 6), optional_real(rows_, 7),  optional_real(rows_, 8),
                 optional_real(rows_, 9), optional_real(rows_, 10), optional_real(rows_, 11)};
    created = rows_.text(12);
  }
  rows_.reset();
  if (result.answers.empty()) return std::nullopt;
  return result;
}

}  // namespace mmbatch
