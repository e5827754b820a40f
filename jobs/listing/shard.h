#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "jobs/listing/item_reader.h"

namespace mmbatch {

/// One part of a manifest's items, for machines that share the work. An item's part depends on nothing but
/// the item: not on its place in the list, nor on the other items.
struct Shard {
  /// What keeps items together. `image` puts all items of the same first image into one part, where it is
  /// encoded once; `item` spreads them evenly; `automatic` is `image` for items that have images.
  enum class By { automatic, item, image };
  std::uint64_t index = 0;  // from 0
  std::uint64_t count = 1;
  By by = By::automatic;

  bool is_all() const { return count == 1; }
  /// Whether the item is in this part. Its image files are not read.
  bool contains(const ReadItem& read) const;
  /// "results.db" as "results.0-of-8.db"; the whole keeps its name.
  std::filesystem::path named(const std::filesystem::path& file) const;
};

/// "0/8". @throws UsageError
Shard parse_shard(const std::string& text);

/// Whether any of the first items has an image, and so is kept together with others.
bool has_images(const Manifest& manifest);

/// Gives only the items of a part.
std::unique_ptr<ItemReader> only_shard(std::unique_ptr<ItemReader> items, const Shard& shard);

}  // namespace mmbatch
