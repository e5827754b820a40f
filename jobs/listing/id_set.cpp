#include "jobs/listing/id_set.h"

#include <cstring>

#include "engine/base/sha256.h"

namespace mmbatch {

IdSet::Key IdSet::key_of(std::string_view id) {
  const std::string digest = Sha256().update(id).digest();
  Key key;
  std::memcpy(&key.first, digest.data(), 8);
  std::memcpy(&key.second, digest.data() + 8, 8);
  if (key == Key{}) key.first = 1;
  return key;
}

bool IdSet::insert(std::string_view id) {
  if (size_ * 4 >= slots_.size() * 3) grow();
  if (!place(slots_, key_of(id))) return false;
  ++size_;
  return true;
}

bool IdSet::contains(std::string_view id) const {
  if (slots_.empty()) return false;
  const Key key = key_of(id);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = key.first & mask; slots_[at] != Key{}; at = (at + 1) & mask) {
    if (slots_[at] == key) return true;
  }
  return false;
}

bool IdSet::place(std::vector<Key>& slots, const Key& key) {
  const std::size_t mask = slots.size() - 1;
  for (std::size_t at = key.first & mask;; at = (at + 1) & mask) {
    if (slots[at] == key) return false;
    if (slots[at] == Key{}) {
      slots[at] = key;
      return true;
    }
  }
}

void IdSet::grow() {
  std::vector<Key> larger(slots_.empty() ? 64 : slots_.size() * 2);
  for (const Key& key : slots_) {
    if (key != Key{}) place(larger, key);
  }
  slots_.swap(larger);
}

}  // namespace mmbatch
