#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace mmbatch {

/// What went wrong with an item, as programs tell it apart.
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

std::string_view to_string(ErrorCode code);

/// Why one item has no answer. A value, not an exception: it travels in place of the data.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
};

/// Thrown for a fault of one item; guarded() turns it into an Error.
class ItemError : public std::runtime_error {
 public:
  ItemError(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

/// What work cannot continue after; what() says what was wrong, where, what is allowed and what to do.
class FatalError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An option, manifest or setting that cannot be meant.
struct UsageError : FatalError {
  using FatalError::FatalError;
};

/// A checkpoint that cannot be loaded: names file, key or tensor, expected and found.
struct ModelError : FatalError {
  using FatalError::FatalError;
};

}  // namespace mmbatch
