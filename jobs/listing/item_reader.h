#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "jobs/item/item.h"
#include "jobs/item/job.h"

namespace mmbatch {

/// Gives items one after the other and holds none of them. Not thread-safe.
class ItemReader {
 public:
  virtual ~ItemReader() = default;
  /// The next item, or one that failed (its error says stage `read`); nothing at the end. A fault of one
  /// item, or of the file in its middle, is never an exception.
  virtual std::optional<ReadItem> next() = 0;
};

/// The items of one job. Memory does not grow with their number, but for 16 bytes per id.
/// @throws UsageError when the listing file cannot be opened.
std::unique_ptr<ItemReader> open_items(const Manifest& manifest, std::size_t job);

/// The items of all jobs in their order.
std::unique_ptr<ItemReader> open_items(const Manifest& manifest);

/// How many items there are, by a quick pass over the listing files.
std::uint64_t count_items(const Manifest& manifest);

}  // namespace mmbatch
