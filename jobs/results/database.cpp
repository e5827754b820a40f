#include "jobs/results/database.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cstring>
#include <utility>

#include "jobs/results/database_error.h"
#include "jobs/results/database_opening.h"
#include "jobs/results/search/text_finder.h"

namespace mmbatch {
namespace {

/// What a user can do about it.
const char* advice(int code) {
  switch (code & 0xFF) {
    case SQLITE_NOTADB:
      return "; this file is not an SQLite database: choose another, or move it away";
    case SQLITE_CORRUPT:
      return "; the file is damaged: go back to a copy of it; `sqlite3 FILE .dump` writes what can still be "
             "read";
    case SQLITE_FULL:
      return "; make room on the disk and start the run again: all that was stored is kept";
    case SQLITE_READONLY:
      return "; the file or its folder cannot be written: choose another";
    case SQLITE_CANTOPEN:
      return "; check that the folder is there and that it can be written";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "; another program holds it: close that program, or wait for it";
    case SQLITE_IOERR:
      return "; check the disk";
    default:
      return "";
  }
}

/// Reading and pure functions; no writing, attaching, pragmas or loading of code. FTS5 itself asks for
/// data_version.
int allow_reading(void*, int action, const char* name, const char* detail, const char*, const char*) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_PRAGMA:
      return sqlite3_stricmp(name, "data_version") == 0 ? SQLITE_OK : SQLITE_DENY;
    case SQLITE_FUNCTION:
      return detail != nullptr && sqlite3_stricmp(detail, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
    default:
      return SQLITE_DENY;
  }
}

/// Whether it is the user's own words that are wrong, and not the file, the disk or the machine.
bool is_about_sql(int code) {
  switch (code & 0xFF) {
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
    case SQLITE_TOOBIG:
    case SQLITE_CONSTRAINT:
    case SQLITE_AUTH:
      return true;
    default:
      return false;
  }
}

}  // namespace

void throw_damaged(const Database& database, const std::string& what) {
  throw DatabaseError(
      fmt::format("{}: the database is damaged: {}; the results that can be read are saved by `mmbatch query "
                  "{} --format jsonl`",
                  database.file().string(), what, database.file().string()));
}

void throw_database_error(sqlite3* handle, int code, const std::filesystem::path& file) {
  const int extended = handle != nullptr ? sqlite3_extended_errcode(handle) : code;
  std::string what = handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
  // A quota and a limit of file sizes are no matter of the disk.
  const int reason = handle != nullptr ? sqlite3_system_errno(handle) : 0;
  if ((extended & 0xFF) == SQLITE_IOERR && reason != 0) what += fmt::format(" ({})", std::strerror(reason));
  throw DatabaseError(fmt::format("{}: {}{}", file.string(), what, advice(extended != 0 ? extended : code)));
}

Database::Database(const std::filesystem::path& file, Mode mode)
    : file_(file), handle_(open_sqlite(file, mode)) {
  add_contains_text(handle_);
}

Database::~Database() {
  sqlite3_close(handle_);
}

Statement Database::prepare(std::string_view sql) {
  return Statement(*this, sql);
}

Statement Database::prepare_user_query(const std::string& sql) {
  sqlite3_stmt* handle = nullptr;
  const char* rest = nullptr;
  const int code = sqlite3_prepare_v2(handle_, sql.c_str(), static_cast<int>(sql.size()) + 1, &handle, &rest);
  Statement statement(*this, handle);
  statement.origin_ = Statement::Origin::user;
  if (code == SQLITE_AUTH) throw UsageError("SQL: only reading is allowed here: one SELECT");
  if (code != SQLITE_OK && !is_about_sql(code)) throw_database_error(handle_, code, file_);
  if (code != SQLITE_OK) throw UsageError(fmt::format("SQL: {}", sqlite3_errmsg(handle_)));
  if (handle == nullptr) throw UsageError("SQL: there is no statement");
  while (*rest != '\0') {  // a comment is no statement
    sqlite3_stmt* more = nullptr;
    const bool ok = sqlite3_prepare_v2(handle_, rest, -1, &more, &rest) == SQLITE_OK;
    sqlite3_finalize(more);
    if (!ok || more != nullptr) throw UsageError("SQL: more than one statement: one SELECT is allowed");
  }
  if (sqlite3_stmt_readonly(handle) == 0) throw UsageError("SQL: only reading is allowed here: one SELECT");
  return statement;
}

bool Database::plans_search(const std::string& sql) {
  sqlite3_stmt* handle = nullptr;
  const std::string explained = "EXPLAIN QUERY PLAN " + sql;
  if (sqlite3_prepare_v2(handle_, explained.c_str(), -1, &handle, nullptr) != SQLITE_OK) return false;
  Statement plan(*this, handle);
  return handle != nullptr && plan.step() && plan.text(3).rfind("SEARCH", 0) == 0;
}

void Database::run(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) throw_database_error(handle_, code, file_);
}

bool Database::has_column(const char* table, const char* column) const {
  return sqlite3_table_column_metadata(handle_, nullptr, table, column, nullptr, nullptr, nullptr, nullptr,
                                       nullptr) == SQLITE_OK;
}

std::int64_t Database::number(std::string_view sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.integer(0) : 0;
}

std::int64_t Database::last_row() const {
  return sqlite3_last_insert_rowid(handle_);
}
std::int64_t Database::changed_rows() const {
  return sqlite3_changes64(handle_);
}

void Database::forbid_writing() {
  run("PRAGMA query_only = 1");
  sqlite3_set_authorizer(handle_, allow_reading, nullptr);
}

Statement::Statement(Database& database, std::string_view sql) : database_(&database) {
  check(sqlite3_prepare_v3(database.handle(), sql.data(), static_cast<int>(sql.size()),
                           SQLITE_PREPARE_PERSISTENT, &handle_, nullptr));
}

Statement::~Statement() {
  sqlite3_finalize(handle_);
}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), origin_(other.origin_), handle_(std::exchange(other.handle_, nullptr)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(database_, other.database_);
  std::swap(origin_, other.origin_);
  std::swap(handle_, other.handle_);
  return *this;
}

void Statement::check(int code) const {
  if (code == SQLITE_OK) return;
  if (origin_ == Origin::user && is_about_sql(code))
    throw UsageError(fmt::format("SQL: {}", sqlite3_errmsg(database_->handle())));
  throw_database_error(database_->handle(), code, database_->file());
}

Statement& Statement::bind(int index, std::int64_t value) {
  check(sqlite3_bind_int64(handle_, index, value));
  return *this;
}

Statement& Statement::bind(int index, double value) {
  check(sqlite3_bind_double(handle_, index, value));
  return *this;
}

Statement& Statement::bind(int index, std::string_view text) {
  // An empty view may point nowhere, which SQLite would take for NULL.
  check(sqlite3_bind_text64(handle_, index, text.empty() ? "" : text.data(), text.size(), SQLITE_TRANSIENT,
                            SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind_blob(int index, std::string_view bytes) {
  check(
      sqlite3_bind_blob64(handle_, index, bytes.empty() ? "" : bytes.data(), bytes.size(), SQLITE_TRANSIENT));
  return *this;
}

Statement& Statement::bind_null(int index) {
  check(sqlite3_bind_null(handle_, index));
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) {
    try {
      check(code);
    } catch (...) {
      sqlite3_reset(handle_);
      throw;
    }
  }
  return false;
}

void Statement::run() {
  while (step()) {
  }
  reset();
}

void Statement::reset() {
  sqlite3_reset(handle_);
}

int Statement::columns() const {
  return sqlite3_column_count(handle_);
}
std::string Statement::column_name(int column) const {
  return sqlite3_column_name(handle_, column);
}

Statement::Type Statement::type(int column) const {
  switch (sqlite3_column_type(handle_, column)) {
    case SQLITE_INTEGER:
      return Type::integer;
    case SQLITE_FLOAT:
      return Type::real;
    case SQLITE_TEXT:
      return Type::text;
    case SQLITE_BLOB:
      return Type::blob;
    default:
      return Type::null;
  }
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(handle_, column);
}
double Statement::real(int column) const {
  return sqlite3_column_double(handle_, column);
}

std::string_view Statement::text(int column) const {
  // For a blob this gives its bytes, for a number its text.
  const auto* bytes = sqlite3_column_type(handle_, column) == SQLITE_BLOB
                          ? static_cast<const char*>(sqlite3_column_blob(handle_, column))
                          : reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

Transaction::Transaction(Database& database, Kind kind) : database_(database) {
  database_.run(kind == Kind::writing ? "BEGIN IMMEDIATE" : "BEGIN");
}

Transaction::~Transaction() {
  // After some errors SQLite has rolled back by itself; then this one's failure means nothing.
  if (open_) sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
  database_.run("COMMIT");
  open_ = false;
}

std::string sqlite_version() {
  return sqlite3_libversion();
}

}  // namespace mmbatch
