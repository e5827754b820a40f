#pragma once

#include <filesystem>

#include "jobs/results/database.h"

namespace mmbatch {

/// Opens an SQLite file, and has it say by its first page that it is one. Whoever holds it for a moment is
/// waited for. Reading leaves the folder as it was: files beside the database that were not there go when the
/// connection is closed, or are never made where nothing can be written.
/// @throws DatabaseError when it is not there, is a folder, a FIFO or a device, is not a database, or when a
/// name that SQLite would write to (-wal, -shm, -journal) is a file of the user's own
sqlite3* open_sqlite(const std::filesystem::path& file, Database::Mode mode);

/// The file beside the database that is not a file of a database, and so is not to be written to; empty:
/// none.
std::filesystem::path foreign_side_file(const std::filesystem::path& file);

}  // namespace mmbatch
