#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace mmbatch {

/// The node of the flow graph in which an item failed; the column `error_stage` of the database.
enum class Stage { read, image, text, fuse, decode, store };

/// What went wrong with an item; the column `error_code` of the database.
enum class ErrorCode {
  invalid_item,
  unknown_key,
  invalid_value,
  duplicate_id,
  image_missing,
  image_unreadable,
  image_too_large,
  path_refused,
  prompt_empty,
  prompt_too_long,
  unsupported,
  timeout,
  internal,
};

std::string_view to_string(Stage stage);
std::string_view to_string(ErrorCode code);

/// Why one item has no answer. A value, not an exception: it travels through the graph in place of the data.
struct Error {
  Stage stage = Stage::read;
  ErrorCode code = ErrorCode::internal;
  std::string message;
};

/// Thrown inside a stage for a fault of one item; the guard of the graph's node turns it into an Error.
class ItemError : public std::runtime_error {
 public:
  ItemError(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

/// The documented exit codes of the program.
enum class ExitCode { ok = 0, items_failed = 1, usage = 2, model_or_database = 3, interrupted = 130 };

/// Ends the run; what() says what was wrong, where, what is allowed and what to do.
class FatalError : public std::runtime_error {
 public:
  FatalError(ExitCode exit_code, const std::string& message)
      : std::runtime_error(message), exit_code_(exit_code) {}
  ExitCode exit_code() const { return exit_code_; }

 private:
  ExitCode exit_code_;
};

/// A command line, manifest or setting that cannot be meant. Exit code 2.
struct UsageError : FatalError {
  explicit UsageError(const std::string& message) : FatalError(ExitCode::usage, message) {}
};

/// A checkpoint that cannot be loaded: names file, key or tensor, expected and found. Exit code 3.
struct ModelError : FatalError {
  explicit ModelError(const std::string& message) : FatalError(ExitCode::model_or_database, message) {}
};

/// A results database that cannot be opened, read or written. Exit code 3.
struct DatabaseError : FatalError {
  explicit DatabaseError(const std::string& message) : FatalError(ExitCode::model_or_database, message) {}
};

}  // namespace mmbatch
