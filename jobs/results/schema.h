#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jobs/results/database.h"

namespace mmbatch {

/// The tables of a results database (`keys` are SQLite's own row numbers):
///
///   models   folder, fingerprint, family, precision, details (JSON)
///   runs     what was run, when, with which model, settings, version, machine; stats (JSON)
///   jobs     name, task
///   items    one row for each content that an item of a job ever had: id, prompt, images and their SHA-256,
///            references, metadata (JSON); a long prompt is in phrases alone
///   results  one row per sequence of an item in a run; `current` marks each item's latest outcome
///   answers  view of the current results with all that belongs to them;  history: the same for all results
///   phrases  each distinct prompt or answer;  texts: full-text index (trigrams) of them by phrases.key
///   image_digests   SHA-256 of image files by path, size and times

/// `PRAGMA application_id` of a results database: "mmBT".
constexpr std::int64_t kApplicationId = 0x6d6d4254;

/// The version that this program writes; a file of an older one is brought to it when it is opened.
int schema_version();

/// Makes the tables in an empty file, or brings an older version up to date, in one transaction.
/// @throws DatabaseError when the file belongs to something else or to a newer program.
void create_or_migrate(Database& database);

/// Opens a results database to be read; one of a version before 4 is brought up to date first.
/// @throws DatabaseError
std::unique_ptr<Database> open_for_reading(const std::filesystem::path& file);

/// Columns of the views with the expressions that give them from results r, items i, jobs j.
const std::vector<std::pair<std::string, std::string>>& view_columns();

/// The same for a database that is read as it is: NULL stands for what its version of the tables lacks.
std::vector<std::pair<std::string, std::string>> view_columns(const Database& database);

/// A column of results r, or NULL where the database's version of the tables lacks it.
std::string result_column(const Database& database, const char* name);
/// The same of items i.
std::string item_column(const Database& database, const char* name);

/// The prompt of items i, wherever it is stored.
std::string prompt_sql();

/// The tables that the views join, for a FROM clause.
std::string view_tables();

}  // namespace mmbatch
