#include "text/tokenizer/models/vocabulary.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace mmbatch {
namespace {

/// Eight bytes at a time, each mixed by a multiplication whose halves are folded together.
std::uint32_t hash_of(std::string_view token) {
  std::uint64_t hash = 0x9E3779B97F4A7C15u ^ token.size();
  const auto mix = [&](std::uint64_t word) {
    const auto product = static_cast<unsigned __int128>(hash ^ word) * 0xD6E8FEB86659FD93u;
    hash = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  const char* at = token.data();
  std::size_t left = token.size();
  for (; left > 8; left -= 8, at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    mix(word);
  }
  std::uint64_t word = 0;
  std::memcpy(&word, at, left);
  mix(word);
  return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

}  // namespace

void TokenVocabulary::reserve(std::size_t tokens) {
  entries_.reserve(tokens);
  bytes_.reserve(tokens * 8);
  grow(std::bit_ceil(tokens * 2 + 16));
}

void TokenVocabulary::grow(std::size_t slots) {
  if (slots <= slots_.size()) return;
  slots_.assign(slots, 0);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    std::size_t at = entries_[i].hash & (slots - 1);
    while (slots_[at] != 0) at = (at + 1) & (slots - 1);
    slots_[at] = static_cast<std::uint32_t>(i + 1);
  }
}

std::size_t TokenVocabulary::slot(std::string_view token, std::uint32_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash & mask;
  while (slots_[at] != 0) {
    const Entry& entry = entries_[slots_[at] - 1];
    if (entry.hash == hash && text(entry) == token) break;
    at = (at + 1) & mask;
  }
  return at;
}

void TokenVocabulary::add(std::string_view token, std::uint32_t id) {
  if (entries_.size() * 2 >= slots_.size()) grow(std::max<std::size_t>(64, slots_.size() * 2));
  const std::uint32_t hash = hash_of(token);
  const std::size_t at = slot(token, hash);
  if (slots_[at] == 0) {
    entries_.push_back(
        {static_cast<std::uint32_t>(bytes_.size()), static_cast<std::uint32_t>(token.size()), id, hash});
    bytes_ += token;
    slots_[at] = static_cast<std::uint32_t>(entries_.size());
    longest_ = std::max(longest_, token.size());
  } else {
    Entry& entry = entries_[slots_[at] - 1];
    if (has(entry.id) && entry_of_id_[entry.id] == slots_[at]) entry_of_id_[entry.id] = 0;
    entry.id = id;
  }
  if (id >= entry_of_id_.size()) entry_of_id_.resize(id + 1, 0);
  entry_of_id_[id] = slots_[at];
}

std::optional<std::uint32_t> TokenVocabulary::find(std::string_view token) const {
  if (slots_.empty()) return std::nullopt;
  const std::size_t at = slot(token, hash_of(token));
  if (slots_[at] == 0) return std::nullopt;
  return entries_[slots_[at] - 1].id;
}

std::string_view TokenVocabulary::token(std::uint32_t id) const {
  return has(id) ? text(entries_[entry_of_id_[id] - 1]) : std::string_view();
}

}  // namespace mmbatch
