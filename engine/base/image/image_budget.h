#pragma once

#include <cstdint>
#include <optional>

namespace mmbatch {

/// What an image may cost, where a job, an item or the command line says so; what is not set is what the
/// checkpoint's files say. Tokens are rows of the prompt, pixels those of the image once it is resized.
struct ImageBudget {
  std::optional<std::int64_t> min_tokens = {}, max_tokens = {};
  std::optional<std::int64_t> min_pixels = {}, max_pixels = {};

  bool empty() const { return *this == ImageBudget{}; }
  bool operator==(const ImageBudget&) const = default;
};

}  // namespace mmbatch
