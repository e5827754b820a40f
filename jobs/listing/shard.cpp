#include "jobs/listing/shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "engine/base/sha256.h"

namespace mmbatch {
namespace {

class ShardReader : public ItemReader {
 public:
  ShardReader(std::unique_ptr<ItemReader> items, const Shard& shard)
      : items_(std::move(items)), shard_(shard) {}

  std::optional<ReadItem> next() override {
    for (;;) {
      std::optional<ReadItem> read = items_->next();
      if (!read || shard_.contains(*read)) return read;
    }
  }

 private:
  std::unique_ptr<ItemReader> items_;
  Shard shard_;
};

}  // namespace

bool Shard::contains(const ReadItem& read) const {
  if (is_all()) return true;
  const Item& item = *read.item;
  Sha256 hash;
  if (read.error) {
    hash.field(item.id).field(item.variant);  // nothing else of it is sure
  } else {
    const std::size_t images =
        by == By::item ? item.images.size() : std::min<std::size_t>(1, item.images.size());
    for (std::size_t i = 0; i < images; ++i) hash.field(item.images[i].written).field(item.images[i].data);
    if (by == By::item || item.images.empty()) {
      hash.field(item.prompt);
      for (const Item::Message& message : item.messages) hash.field(message.role).field(message.content);
    }
  }
  const std::string digest = hash.digest();
  std::uint64_t number = 0;
  for (int i = 0; i < 8; ++i)
    number = number << 8 | static_cast<unsigned char>(digest[static_cast<std::size_t>(i)]);
  return number % count == index;
}

std::filesystem::path Shard::named(const std::filesystem::path& file) const {
  if (is_all()) return file;
  std::filesystem::path name = file;
  return name.replace_filename(
      fmt::format("{}.{}-of-{}{}", file.stem().string(), index, count, file.extension().string()));
}

Shard parse_shard(const std::string& text) {
  Shard shard;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, shard.index);
  const bool slash = first.ec == std::errc{} && first.ptr != end && *first.ptr == '/';
  const auto second = slash ? std::from_chars(first.ptr + 1, end, shard.count) : first;
  if (!slash || second.ec != std::errc{} || second.ptr != end || shard.count == 0 ||
      shard.index >= shard.count) {
    throw UsageError(fmt::format(
        "--shard {}: must be I/N, a part's number and how many there are, such as 0/8 … 7/8", text));
  }
  return shard;
}

bool has_images(const Manifest& manifest) {
  constexpr int kLookedAt = 100;  // of each job
  for (std::size_t job = 0; job < manifest.jobs.size(); ++job) {
    const auto items = open_items(manifest, job);
    for (int i = 0; i < kLookedAt; ++i) {
      const auto read = items->next();
      if (!read) break;
      if (!read->error && !read->item->images.empty()) return true;
    }
  }
  return false;
}

std::unique_ptr<ItemReader> only_shard(std::unique_ptr<ItemReader> items, const Shard& shard) {
  if (shard.is_all()) return items;
  return std::make_unique<ShardReader>(std::move(items), shard);
}

}  // namespace mmbatch
