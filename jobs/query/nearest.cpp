#include "jobs/query/nearest.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cmath>
#include <memory>

#include "engine/base/error.h"
#include "jobs/query/similarity.h"
#include "jobs/results/database.h"
#include "jobs/results/result_rows.h"
#include "jobs/results/schema.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

std::string_view bytes_of(sqlite3_value* blob) {
  return {static_cast<const char*>(sqlite3_value_blob(blob)),
          static_cast<std::size_t>(sqlite3_value_bytes(blob))};
}

bool is_vector(sqlite3_value* value) {
  return sqlite3_value_type(value) == SQLITE_BLOB && sqlite3_value_bytes(value) % sizeof(float) == 0;
}

/// cosine(vector, vector): where the second is the same for all rows, it is made ready once.
void cosine(sqlite3_context* context, int, sqlite3_value** values) {
  if (!is_vector(values[0]) || !is_vector(values[1])) return sqlite3_result_null(context);
  const auto* kept = static_cast<SimilarityTarget*>(sqlite3_get_auxdata(context, 1));
  std::unique_ptr<SimilarityTarget> made;
  if (kept == nullptr) made = std::make_unique<SimilarityTarget>(bytes_of(values[1]));
  const SimilarityTarget& target = kept != nullptr ? *kept : *made;
  const std::string_view other = bytes_of(values[0]);
  const double similarity = other.size() == target.size() ? target.cosine(other) : std::nan("");
  if (std::isnan(similarity))
    sqlite3_result_null(context);
  else
    sqlite3_result_double(context, similarity);
  if (made) {
    sqlite3_set_auxdata(context, 1, made.release(),
                        [](void* old) { delete static_cast<SimilarityTarget*>(old); });
  }
}

/// What may be the id in "id" or "job/id", in which both parts may have slashes: an index finds these.
std::vector<std::string> possible_ids(const std::string& item) {
  std::vector<std::string> ids = {item};
  for (std::size_t at = item.find('/'); at != std::string::npos; at = item.find('/', at + 1))
    ids.push_back(item.substr(at + 1));
  return ids;
}

}  // namespace

std::optional<NearestTarget> find_embedding(const std::filesystem::path& file, const std::string& item) {
  const auto database = open_for_reading(file);
  Statement rows = database->prepare(
      "SELECT r.key, u.model_key, e.vector, j.name, i.id FROM items i JOIN jobs j ON j.key = i.job_key "
      "JOIN results r ON r.item_key = i.key AND r.current = 1 JOIN embeddings e ON e.result_key = r.key "
      "JOIN runs u ON u.key = r.run_key WHERE i.id IN (SELECT value FROM json_each(?2)) "
      "AND (i.id = ?1 OR j.name || '/' || i.id = ?1) ORDER BY r.key");
  rows.bind(1, item).bind(2, json_array(possible_ids(item)));
  std::optional<NearestTarget> found;
  std::string names;
  for (std::size_t count = 1; rows.step(); ++count) {
    names += fmt::format("{}{}/{}", count > 1 ? ", " : "", rows.text(3), rows.text(4));
    if (count > 1) {
      throw UsageError(fmt::format("--nearest '{}': several items have this name: {}{}", item, names,
                                   rows.step() ? ", …" : ""));
    }
    found = NearestTarget{embedding_of(rows.text(2)), rows.integer(1), rows.integer(0)};
  }
  return found;
}

EmbeddingModel embedding_model(const std::filesystem::path& file) {
  const auto database = open_for_reading(file);
  Statement row = database->prepare(
      "SELECT m.key, m.folder, m.fingerprint, m.precision FROM embeddings e JOIN results r ON r.key = "
      "e.result_key "
      "JOIN runs u ON u.key = r.run_key JOIN models m ON m.key = u.model_key "
      "WHERE r.current = 1 ORDER BY e.result_key DESC LIMIT 1");
  if (!row.step()) {
    throw UsageError(fmt::format("{}: there are no embeddings: run a job of the task embed", file.string()));
  }
  return {row.integer(0), std::string(row.text(1)), std::string(row.text(2)), std::string(row.text(3))};
}

void add_cosine(Database& database) {
  const int code = sqlite3_create_function_v2(database.handle(), "cosine", 2,
                                              SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, nullptr,
                                              cosine, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) throw_database_error(database.handle(), code, database.file());
}

}  // namespace mmbatch
