#include "engine/serve/prompt_lookup.h"

#include <optional>

namespace mmbatch {
namespace {

bool same(const History& history, std::size_t a, std::size_t b, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    if (history[a + i] != history[b + i]) return false;
  }
  return true;
}

/// Where the last n tokens stood the last time before.
std::optional<std::size_t> earlier_place(const History& history, std::size_t n) {
  if (history.size() <= n) return {};
  const std::size_t tail = history.size() - n;
  for (std::size_t begin = tail; begin > 0; --begin) {
    if (same(history, begin - 1, tail, n)) return begin - 1;
  }
  return {};
}

}  // namespace

std::vector<std::int32_t> draft_by_lookup(const History& history, std::size_t limit) {
  std::vector<std::int32_t> draft;
  if (limit == 0) return draft;
  for (const std::size_t n : {3, 2}) {
    const auto place = earlier_place(history, n);
    if (!place) continue;
    for (std::size_t p = *place + n; draft.size() < limit; ++p) {
      draft.push_back(p < history.size() ? history[p] : draft[p - history.size()]);
    }
    return draft;
  }
  return draft;
}

}  // namespace mmbatch
