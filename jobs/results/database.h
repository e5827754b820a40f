#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace mmbatch {

class Statement;

/// A connection to an SQLite file. Has a function of its own, `contains_text(text, part)`, for which upper
/// and lower case are the same in every script. Not thread-safe; stays where it is, for statements point to
/// it. Every failure is a DatabaseError that names the file and says what can be done.
class Database {
 public:
  enum class Mode {
    create,     // read and write, made when absent
    read_only,  // also in a folder that cannot be written, and while another process writes
  };
  Database(const std::filesystem::path& file, Mode mode);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  Statement prepare(std::string_view sql);
  /// One reading statement that a user wrote. @throws UsageError when it is wrong, writes, or is more than
  /// one; its steps do, too, when it turns out to be wrong while it runs.
  Statement prepare_user_query(const std::string& sql);
  /// Whether SQLite would answer a query by looking rows up, not by reading a whole table; false for a query
  /// that is none.
  bool plans_search(const std::string& sql);
  /// Runs statements that give no rows that matter.
  void run(const std::string& sql);
  /// The first column of the first row of a query.
  std::int64_t number(std::string_view sql);
  bool has_column(const char* table, const char* column) const;
  std::int64_t last_row() const;
  std::int64_t changed_rows() const;
  /// Refuses from now on every statement that does more than read tables.
  void forbid_writing();

  const std::filesystem::path& file() const { return file_; }
  sqlite3* handle() const { return handle_; }

 private:
  std::filesystem::path file_;
  sqlite3* handle_ = nullptr;
};

/// A prepared statement. Parameters are counted from 1, columns from 0, as in SQLite. Move-only.
class Statement {
 public:
  enum class Type { null, integer, real, text, blob };

  Statement(Database& database, std::string_view sql);
  Statement(Database& database, sqlite3_stmt* handle) : database_(&database), handle_(handle) {}
  ~Statement();
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;

  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, int value) { return bind(index, std::int64_t{value}); }
  Statement& bind(int index, double value);
  Statement& bind(int index, std::string_view text);
  Statement& bind(int index, const std::string& text) { return bind(index, std::string_view(text)); }
  Statement& bind(int index, const char* text) { return bind(index, std::string_view(text)); }
  Statement& bind_blob(int index, std::string_view bytes);
  Statement& bind_null(int index);
  template <class T>
  Statement& bind(int index, const std::optional<T>& value) {
    return value ? bind(index, *value) : bind_null(index);
  }

  /// True when there is a row.
  bool step();
  /// Runs a statement without rows and makes it ready for the next values.
  void run();
  /// Ready to run again; bound values stay.
  void reset();

  int columns() const;
  std::string column_name(int column) const;
  Type type(int column) const;
  std::int64_t integer(int column) const;
  double real(int column) const;
  /// Valid until the next step().
  std::string_view text(int column) const;

 private:
  friend class Database;
  enum class Origin { program, user };  // whose words it is made of
  void check(int code) const;
  Database* database_;
  Origin origin_ = Origin::program;
  sqlite3_stmt* handle_ = nullptr;
};

/// Rolled back unless committed.
class Transaction {
 public:
  enum class Kind {
    writing,  // begins at once as a writer
    reading,  // sees the database as it is at its first statement
  };
  explicit Transaction(Database& database, Kind kind = Kind::writing);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

/// Throws the DatabaseError for what SQLite last said on this connection.
[[noreturn]] void throw_database_error(sqlite3* handle, int code, const std::filesystem::path& file);

/// Of the library that is loaded, such as "3.40.1".
std::string sqlite_version();

/// Throws the DatabaseError for rows that no version of this program writes.
/// @param what is wrong: "run 3 names a model that is not there"
[[noreturn]] void throw_damaged(const Database& database, const std::string& what);

}  // namespace mmbatch
