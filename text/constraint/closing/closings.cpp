#include "text/constraint/closing/closings.h"

#include <algorithm>

#include "text/constraint/closing/token_states.h"

namespace mmbatch {

Closings::Closings(std::shared_ptr<const LeastBytes> least, std::shared_ptr<const TokenBytes> tokens)
    : least_(std::move(least)), tokens_(std::move(tokens)), places_(2) {
  places_[kUnknown].tokens = kNoTokens;
}

std::size_t Closings::tokens(Machine& machine, const Machine::State& state, AnswerPlace place) {
  const Way way = way_from(machine, state, place);
  return way.tokens == kNoTokens ? kNever : way.tokens;
}

std::optional<std::int32_t> Closings::first(Machine& machine, const Machine::State& state,
                                            AnswerPlace place) {
  const Way way = way_from(machine, state, place);
  if (way.tokens == kNoTokens || way.tokens == 0) return std::nullopt;
  return way.token;
}

/// A first token may be another than inside an answer: its space is dropped, or it goes on with a word.
Closings::Way Closings::way_from(Machine& machine, const Machine::State& state, AnswerPlace place) {
  const std::uint32_t at = place_of(machine, state);
  const bool ends = at == kEnd || at == kUnknown;
  if (ends || place == AnswerPlace::behind || !tokens_->drops_first_space())
    return {places_[at].tokens, places_[at].token};
  const std::uint32_t space = tokens_->all().find(" ");
  const Way plain = fewest(at, 0, place);
  const Way spaced = space != 0 ? fewest(at, space, place) : Way{};
  const Way way = spaced.tokens < plain.tokens ? spaced : plain;
  return way.tokens != kNoTokens ? way : way_of_begun(machine, state);
}

/// The shortest text that a token may begin, when none begins the shortest of all, as where that is a space:
/// of the texts with the fewest bytes one with the fewest tokens, the first in the order of bytes.
Closings::Way Closings::way_of_begun(Machine& machine, const Machine::State& state) {
  struct Begun {
    std::size_t bytes;  // of the token and, at least, behind it
    std::size_t token_bytes;
    std::int32_t token;
    Machine::State behind;
  };
  std::vector<Begun> begun;
  std::vector<Machine::State> on_the_way(tokens_->longest() + 1);
  const TokenTrie& trie = tokens_->all();
  const std::uint64_t work_end = machine.work() + kMostWork;
  const auto begin_behind = [&](std::uint32_t from) {
    const std::size_t dropped = trie.node(from).depth;
    visit_token_states(machine, trie, from, state, on_the_way, [&](const auto& node, const auto& behind) {
      const std::size_t bytes = node.depth - dropped;
      if (const auto token = tokens_->beginning(trie.tokens(node), bytes))
        begun.push_back({bytes + least_->of(machine, behind), bytes, *token, behind});
      return machine.work() < work_end;
    });
  };
  begin_behind(0);
  if (const std::uint32_t space = trie.find(" "); space != 0) begin_behind(space);
  std::stable_sort(begun.begin(), begun.end(),
                   [](const Begun& a, const Begun& b) { return a.bytes < b.bytes; });
  Way best;
  std::size_t fewest_bytes = kNever;
  for (const Begun& one : begun) {
    if (one.bytes > fewest_bytes || machine.work() >= work_end) break;
    const Place& rest = places_[place_of(machine, one.behind)];
    if (rest.tokens == kNoTokens) continue;
    const std::size_t bytes = one.token_bytes + rest.bytes;
    if (std::pair(bytes, rest.tokens + 1) >= std::pair(fewest_bytes, best.tokens)) continue;
    fewest_bytes = bytes;
    best = {rest.tokens + 1, one.token};
  }
  return best;
}

void Closings::forget(const Mark& mark, const Machine::Mark& frames) {
  std::erase_if(known_, [&](const auto& known) {
    const auto& [state, place] = known;
    return place >= mark.places || (!state.empty() && state.back() >= frames.frames);  // they are sorted
  });
  places_.resize(mark.places);
}

std::uint32_t Closings::place_of(Machine& machine, const Machine::State& state) {
  if (const auto at = known_.find(state); at != known_.end()) return at->second;
  steps_ = 0;
  work_end_ = machine.work() + kMostWork;
  std::optional<std::uint32_t> found;
  if (machine.may_end(state)) found = kEnd;
  // The bound is nearly always the length itself; else it is raised until a text of that length is there.
  for (std::size_t bytes = least_->of(machine, state); !found && bytes <= kMostBytes && goes_on(machine);
       ++bytes)
    found = search(machine, state, bytes);
  refuted_.clear();
  return known_.emplace(state, found.value_or(kUnknown)).first->second;
}

/// Goes down byte by byte, and back where no text of this length is left.
std::optional<std::uint32_t> Closings::search(Machine& machine, const Machine::State& from,
                                              std::size_t bytes) {
  std::vector<Step> path;
  path.push_back({.state = from, .budget = bytes});
  while (!path.empty() && goes_on(machine)) {
    const std::optional<std::uint32_t> rest = next_step(machine, path);
    if (rest) {
      // All states of the path have their shortest text now.
      std::uint32_t place = *rest;
      for (; !path.empty(); path.pop_back()) {
        place = add(static_cast<std::uint8_t>(path.back().byte - 1), place);
        known_.insert_or_assign(std::move(path.back().state), place);
      }
      return place;
    }
    Step& last = path.back();
    if (last.budget > 0 && last.byte < 256) continue;
    std::size_t& refuted = refuted_[last.state];
    refuted = std::max(refuted, last.budget);
    path.pop_back();
  }
  return std::nullopt;
}

/// Tries the next byte of the last state, and goes there if an end may be near enough.
/// @return what follows, when that is known
std::optional<std::uint32_t> Closings::next_step(Machine& machine, std::vector<Step>& path) {
  Machine::State next;
  while (path.back().budget > 0 && path.back().byte < 256) {
    ++steps_;
    const auto byte = static_cast<std::uint8_t>(path.back().byte++);
    const Machine::Mark mark = machine.mark();
    machine.step(path.back().state, byte, next);
    if (next.empty()) {
      machine.release(mark);
      continue;
    }
    const std::size_t left = path.back().budget - 1;
    if (machine.may_end(next)) {
      if (left == 0) return kEnd;
      continue;
    }
    const auto known = known_.find(next);
    if (known != known_.end() && known->second != kUnknown) {
      if (places_[known->second].bytes == left) return known->second;
      continue;
    }
    if (left == 0 || least_->of(machine, next) > left) continue;
    if (const auto at = refuted_.find(next); at != refuted_.end() && at->second >= left) continue;
    path.push_back({.state = std::move(next), .budget = left});
    return std::nullopt;
  }
  return std::nullopt;
}

/// The fewest tokens are found from the end: a token, and what is known of the place behind it.
std::uint32_t Closings::add(std::uint8_t byte, std::uint32_t next) {
  places_.push_back({.next = next, .bytes = places_[next].bytes + 1, .tokens = kNoTokens, .byte = byte});
  const auto place = static_cast<std::uint32_t>(places_.size() - 1);
  const Way way = fewest(place, 0, AnswerPlace::behind);
  places_.back().tokens = way.tokens;
  places_.back().token = way.token;
  return place;
}

/// @param node of the trie, behind which the text of the place is spelled
Closings::Way Closings::fewest(std::uint32_t place, std::uint32_t node, AnswerPlace where) const {
  Way way;
  const TokenTrie& trie = tokens_->all();
  const std::size_t dropped = trie.node(node).depth;
  for (std::uint32_t at = place; at != kEnd;) {
    node = trie.child(node, places_[at].byte);
    if (node == 0) break;
    at = places_[at].next;
    const auto here = trie.tokens(trie.node(node));
    if (here.empty() || places_[at].tokens == kNoTokens) continue;
    // Of equally many the longest comes first.
    if (places_[at].tokens + 1 > way.tokens) continue;
    const auto token = where == AnswerPlace::behind
                           ? here.front()
                           : tokens_->beginning(here, trie.node(node).depth - dropped);
    if (!token) continue;
    way = {places_[at].tokens + 1, *token};
  }
  return way;
}

}  // namespace mmbatch
