#include "jobs/nearest.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cmath>
#include <cstring>

#include "engine/base/error.h"
#include "jobs/database.h"
#include "jobs/result_rows.h"
#include "jobs/schema.h"

namespace mmbatch {
namespace {

/// Blobs need not be aligned.
float float_at(const void* blob, std::size_t index) {
  float value = 0;
  std::memcpy(&value, static_cast<const char*>(blob) + index * sizeof(float), sizeof(float));
  return value;
}

void cosine(sqlite3_context* context, int, sqlite3_value** values) {
  const auto is_vector = [](sqlite3_value* value) {
    return sqlite3_value_type(value) == SQLITE_BLOB && sqlite3_value_bytes(value) % sizeof(float) == 0;
  };
  const int bytes = sqlite3_value_bytes(values[0]);
  if (!is_vector(values[0]) || !is_vector(values[1]) || bytes != sqlite3_value_bytes(values[1])) {
    return sqlite3_result_null(context);
  }
  const void *a = sqlite3_value_blob(values[0]), *b = sqlite3_value_blob(values[1]);
  double product = 0, length_a = 0, length_b = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(bytes) / sizeof(float); ++i) {
    const double x = float_at(a, i), y = float_at(b, i);
    product += x * y;
    length_a += x * x;
    length_b += y * y;
  }
  const double lengths = std::sqrt(length_a * length_b);
  if (!(lengths > 0)) return sqlite3_result_null(context);
  sqlite3_result_double(context, product / lengths);
}

}  // namespace

std::optional<NearestTarget> find_embedding(const std::filesystem::path& file, const std::string& item) {
  const auto database = open_for_reading(file);
  Statement rows = database->prepare(
      "SELECT r.key, u.model_key, e.vector, j.name, i.id FROM items i JOIN jobs j ON j.key = i.job_key "
      "JOIN results r ON r.item_key = i.key AND r.current = 1 JOIN embeddings e ON e.result_key = r.key "
      "JOIN runs u ON u.key = r.run_key WHERE i.id = ?1 OR j.name || '/' || i.id = ?1 ORDER BY r.key");
  rows.bind(1, item);
  std::optional<NearestTarget> found;
  std::string names;
  for (std::size_t count = 1; rows.step(); ++count) {
    names += fmt::format("{}{}/{}", count > 1 ? ", " : "", rows.text(3), rows.text(4));
    if (count > 1) {
      throw UsageError(fmt::format("--nearest '{}': several items are called so: {}{}", item, names,
                                   rows.step() ? ", …" : ""));
    }
    found = NearestTarget{embedding_of(rows.text(2)), rows.integer(1), rows.integer(0)};
  }
  return found;
}

EmbeddingModel embedding_model(const std::filesystem::path& file) {
  const auto database = open_for_reading(file);
  Statement row = database->prepare(
      "SELECT m.key, m.folder, m.fingerprint, m.precision FROM embeddings e JOIN results r ON r.key = e.result_key "
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
