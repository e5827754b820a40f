#include "jobs/results/search/phrases.h"

#include "engine/base/sha256.h"

namespace mmbatch {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{16} << 20;
constexpr std::size_t kEntryBytes = 100;  // of the map, beside the text

}  // namespace

Phrases::Phrases(Database& database)
    : database_(database),
      insert_(database, "INSERT INTO phrases(text, digest, indexed) VALUES(?1, ?2, ?3)"),
      index_(database, "INSERT INTO texts(rowid, text) VALUES(?1, ?2)"),
      find_long_(database, "SELECT key FROM phrases WHERE digest = ?1") {
  // What a resumed run most likely meets again.
  Statement recent = database.prepare(
      "SELECT key, text FROM phrases WHERE digest IS NULL AND indexed IS NULL ORDER BY key DESC LIMIT 10000");
  while (recent.step() && bytes_ < kMaxBytes) {
    const auto [place, added] = known_.emplace(recent.text(1), recent.integer(0));
    if (added) bytes_ += place->first.size() + kEntryBytes;
  }
}

std::int64_t Phrases::key_of(const std::string& text) {
  if (text.size() >= kLongBytes) return key_of_long(text);
  const auto found = known_.find(text);
  if (found != known_.end()) return found->second;
  const std::int64_t key = insert(text, "");
  if (bytes_ >= kMaxBytes) forget();
  known_.emplace(text, key);
  bytes_ += text.size() + kEntryBytes;
  return key;
}

std::int64_t Phrases::key_of_long(const std::string& text) {
  const std::string digest = Sha256().update(text).digest();
  find_long_.bind_blob(1, digest);
  const std::int64_t key = find_long_.step() ? find_long_.integer(0) : 0;
  find_long_.reset();
  return key != 0 ? key : insert(text, digest);
}

std::int64_t Phrases::insert(const std::string& text, const std::string& digest) {
  std::string_view beginning = text;
  if (text.size() > kIndexedBytes) {
    std::size_t end = kIndexedBytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // inside of a character
    beginning = beginning.substr(0, end);
  }
  insert_.bind(1, text).bind_null(2).bind_null(3);
  if (!digest.empty()) insert_.bind_blob(2, digest);
  if (beginning.size() < text.size()) insert_.bind(3, static_cast<std::int64_t>(beginning.size()));
  insert_.run();
  const std::int64_t key = database_.last_row();
  index_.bind(1, key).bind(2, beginning).run();
  return key;
}

void Phrases::forget() {
  known_.clear();
  bytes_ = 0;
}

}  // namespace mmbatch
