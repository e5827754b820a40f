#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "jobs/batch/forms/answer_form.h"
#include "jobs/results/database.h"

namespace mmbatch {

/// Lines of the OpenAI batch output form (platform.openai.com/docs/guides/batch), one per item:
///
///   { "id": "batch_req_…", "custom_id": item id, "response": { "status_code": 200, "request_id": "req_…",
///     "body": {…} }, "error": null }                      an answered item, in its request's form (forms/)
///   { "id": …, "custom_id": …, "response": null, "error": { "code": error_code, "message": … } }   a failed
///   one
///
/// Of a model that thinks, a message has its thoughts as reasoning_content, and the usage their tokens.
///
/// An id tells an outcome from all others of a database, and is the same whenever it is written.
class BatchLines {
 public:
  /// What a statement must select from results r, items i, jobs j, runs u and models m, the rows of an item
  /// one after the other; further columns may follow.
  static std::string columns(const Database& database);
  /// These tables, for a FROM.
  static std::string tables();

  /// Takes the statement's row, and gives the line that it ended, if any: that of the item before.
  std::optional<std::string> add(const Statement& row);
  /// The last item's line, if there is one.
  std::optional<std::string> end();

 private:
  std::string head_;                  // what the line says before its body
  std::string tail_;                  // of a failed item
  std::unique_ptr<AnswerForm> form_;  // of an answered one
  std::int64_t item_ = 0, run_ = 0;
};

/// The id of the outcome in the statement's row.
std::string batch_line_id(const Statement& row);

/// The id of a line that add() gave; empty for any other text.
std::string id_of_batch_line(std::string_view line);

}  // namespace mmbatch
