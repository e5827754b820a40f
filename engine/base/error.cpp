#include "engine/base/error.h"

namespace mmbatch {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_item:
      return "invalid_item";
    case ErrorCode::unknown_key:
      return "unknown_key";
    case ErrorCode::invalid_value:
      return "invalid_value";
    case ErrorCode::duplicate_id:
      return "duplicate_id";
    case ErrorCode::image_missing:
      return "image_missing";
    case ErrorCode::image_unreadable:
      return "image_unreadable";
    case ErrorCode::image_too_large:
      return "image_too_large";
    case ErrorCode::path_refused:
      return "path_refused";
    case ErrorCode::prompt_empty:
      return "prompt_empty";
    case ErrorCode::prompt_too_long:
      return "prompt_too_long";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::timeout:
      return "timeout";
    case ErrorCode::internal:
      return "internal";
  }
  return "internal";
}

}  // namespace mmbatch
