#include "text/tokenizer/json/split/splitting.h"

#include <algorithm>

namespace mmbatch {
namespace {

struct Stretch {
  Span span;
  bool match = false;
};

/// A match goes to what stands before it, unless that is a match too; from right to left, to what stands
/// behind it.
template <typename Each, typename Extend>
void merge_matches(const std::vector<Stretch>& stretches, std::vector<Span>& spans, Each&& each,
                   Extend&& extend) {
  bool after_match = false;
  each(stretches, [&](const Stretch& stretch) {
    if (stretch.match && !after_match && !spans.empty()) {
      extend(spans.back(), stretch.span);
    } else {
      spans.push_back(stretch.span);
    }
    after_match = stretch.match;
  });
}

std::vector<Span> join(const std::vector<Stretch>& stretches, SplitBehavior behavior) {
  std::vector<Span> spans;
  if (behavior == SplitBehavior::merged_with_previous) {
    merge_matches(
        stretches, spans, [](const auto& all, auto visit) { std::for_each(all.begin(), all.end(), visit); },
        [](Span& before, const Span& match) { before.end = match.end; });
  } else if (behavior == SplitBehavior::merged_with_next) {
    merge_matches(
        stretches, spans, [](const auto& all, auto visit) { std::for_each(all.rbegin(), all.rend(), visit); },
        [](Span& behind, const Span& match) { behind.begin = match.begin; });
    std::reverse(spans.begin(), spans.end());
  } else {  // contiguous
    bool previous = false;
    for (const Stretch& stretch : stretches) {
      if (stretch.match == previous && !spans.empty()) {
        spans.back().end = stretch.span.end;
      } else {
        spans.push_back(stretch.span);
      }
      previous = stretch.match;
    }
  }
  return spans;
}

}  // namespace

SplitBehavior read_behavior(const Config& step, const std::string& key, SplitBehavior otherwise) {
  const std::string name = step.text(key, "");
  if (name.empty()) return otherwise;
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  step.fail(key, "'" + name + "' is not a way to split");
}

void split_piece(const Piece& piece, const std::vector<Span>& matches, SplitBehavior behavior,
                 SplitMatch matched, std::vector<Piece>& parts) {
  const auto add = [&](const Span& span) {
    if (span.begin == span.end) return;
    const bool first = span.begin == 0;
    parts.push_back({piece.text.substr(span.begin, span.end - span.begin), piece.at_beginning && first,
                     piece.takes_prefix || !first});
  };
  const bool found_matches = matched == SplitMatch::found;
  std::vector<Stretch> stretches;
  const bool alone = behavior == SplitBehavior::isolated || behavior == SplitBehavior::removed;
  const auto take = [&](const Span& span, bool match) {
    if (!alone) {
      stretches.push_back({span, match});
    } else if (behavior == SplitBehavior::isolated || !match) {
      add(span);
    }
  };
  std::size_t at = 0;
  for (const Span& match : matches) {
    if (match.begin != at) take({at, match.begin}, !found_matches);
    take(match, found_matches);
    at = match.end;
  }
  if (at != piece.text.size()) take({at, piece.text.size()}, !found_matches);
  if (alone) return;
  for (const Span& span : join(stretches, behavior)) add(span);
}

}  // namespace mmbatch
