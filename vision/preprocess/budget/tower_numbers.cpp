#include "vision/preprocess/budget/tower_numbers.h"

#include <fmt/format.h>

namespace mmbatch {

void check_same_as_tower(const Config& config, const std::string& key, int tower, std::int64_t otherwise) {
  const std::int64_t found = config.integer(key, otherwise);
  if (found == tower) return;
  config.fail(key, fmt::format("{}, but config.json says {}: only one of the two can hold", found, tower));
}

}  // namespace mmbatch
