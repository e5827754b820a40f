#include "engine/serve/prompt_lookup.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/decoder/prompt.h"

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

/// What followed the history's last n tokens in the latest earlier answer that has them.
std::vector<std::int32_t> continued_earlier(const History& history, const EarlierAnswers& earlier,
                                            std::size_t n, std::size_t limit) {
  if (history.size() < n) return {};
  std::vector<std::int32_t> tail(n);
  for (std::size_t i = 0; i < n; ++i) tail[i] = history[history.size() - n + i];
  for (const std::vector<std::int32_t>& text : earlier.texts()) {
    const auto found = std::search(text.begin(), text.end(), tail.begin(), tail.end());
    if (found == text.end() || text.end() - found <= static_cast<std::ptrdiff_t>(n)) continue;
    const auto begin = found + static_cast<std::ptrdiff_t>(n);
    const auto count = std::min(static_cast<std::ptrdiff_t>(limit), text.end() - begin);
    return {begin, begin + count};
  }
  return {};
}

constexpr std::size_t kLongest = 3;  // tokens that must agree
constexpr std::size_t kEarlierAnswers = 64;

}  // namespace

void EarlierAnswers::add(const std::vector<std::int32_t>& prompt, const std::vector<std::int32_t>& answer) {
  const std::size_t kept = std::min(kLongest, prompt.size());
  std::vector<std::int32_t> text(prompt.end() - static_cast<std::ptrdiff_t>(kept), prompt.end());
  text.insert(text.end(), answer.begin(), answer.end());
  texts_.push_front(std::move(text));
  if (texts_.size() > kEarlierAnswers) texts_.pop_back();
}

namespace {

std::vector<std::int32_t> look_up(const History& history, const EarlierAnswers& earlier, std::size_t limit) {
  std::vector<std::int32_t> draft;
  if (limit == 0) return draft;
  for (const std::size_t n : {kLongest, kLongest - 1}) {
    const auto place = earlier_place(history, n);
    if (!place) continue;
    for (std::size_t p = *place + n; draft.size() < limit; ++p) {
      draft.push_back(p < history.size() ? history[p] : draft[p - history.size()]);
    }
    return draft;
  }
  for (const std::size_t n : {kLongest, kLongest - 1}) {
    draft = continued_earlier(history, earlier, n, limit);
    if (!draft.empty()) break;
  }
  return draft;
}

}  // namespace

std::vector<std::int32_t> draft_by_lookup(const History& history, const EarlierAnswers& earlier,
                                          std::size_t limit) {
  std::vector<std::int32_t> draft = look_up(history, earlier, limit);
  draft.erase(std::find(draft.begin(), draft.end(), Prompt::kNoToken), draft.end());  // an image's row
  return draft;
}

}  // namespace mmbatch
