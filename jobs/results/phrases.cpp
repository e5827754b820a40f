#include "jobs/results/phrases.h"

namespace mmbatch {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{16} << 20;
constexpr std::size_t kEntryBytes = 100;  // of the map, beside the text

}  // namespace

Phrases::Phrases(Database& database)
    : database_(database),
      insert_(database, "INSERT INTO phrases(text) VALUES(?1)"),
      index_(database, "INSERT INTO texts(rowid, text) VALUES(?1, ?2)") {
  // What a resumed run most likely meets again.
  Statement recent = database.prepare("SELECT key, text FROM phrases ORDER BY key DESC LIMIT 10000");
  while (recent.step() && bytes_ < kMaxBytes) {
    const auto [place, added] = known_.emplace(recent.text(1), recent.integer(0));
    if (added) bytes_ += place->first.size() + kEntryBytes;
  }
}

std::int64_t Phrases::key_of(const std::string& text) {
  const auto found = known_.find(text);
  if (found != known_.end()) return found->second;
  insert_.bind(1, text).run();
  const std::int64_t key = database_.last_row();
  index_.bind(1, key).bind(2, text).run();
  if (bytes_ >= kMaxBytes) forget();
  known_.emplace(text, key);
  bytes_ += text.size() + kEntryBytes;
  return key;
}

void Phrases::forget() {
  known_.clear();
  bytes_ = 0;
}

}  // namespace mmbatch
