#include "text/constraint/closing/ways_to_end.h"

#include <algorithm>
#include <functional>

#include "text/constraint/closing/token_states.h"

namespace mmbatch {
namespace {

// Of the machine (Machine::work), and nodes of the trie: of one search, so that one that takes too long
// leaves the others theirs, and of all.
constexpr std::uint64_t kMostOfSearch = 1u << 20, kMostOfAll = 1u << 24;
constexpr std::size_t kMostPlaces = 1u << 17, kMostNewFrames = 1u << 20;

}  // namespace

WaysToEnd::WaysToEnd(Machine& machine, const LeastBytes& least, const TokenBytes& tokens)
    : machine_(machine),
      least_(least),
      tokens_(tokens),
      on_the_way_(tokens.longest() + 1),
      work_begin_(machine.work()),
      frames_begin_(machine.frames()) {}

bool WaysToEnd::any_from(const Machine::State& state) {
  if (state.empty()) return false;
  const auto at = known_.find(state);
  if (at != known_.end()) return at->second;
  return machine_.may_end(state) || search(state);
}

bool WaysToEnd::goes_on() {
  gave_up_ = work() - search_begin_ > kMostOfSearch || work() - work_begin_ > kMostOfAll ||
             known_.size() + places_.size() > kMostPlaces ||
             machine_.frames() - frames_begin_ > kMostNewFrames;
  return !gave_up_;
}

/// The states that are nearest to an end, in bytes, come first: mostly the way is straight.
bool WaysToEnd::search(const Machine::State& from) {
  const Machine::Mark mark = machine_.mark();
  search_begin_ = work();
  places_.assign(1, {from, 0});
  met_ = {from};
  open_.assign(1, {0, 0});
  while (!open_.empty()) {
    if (!goes_on()) break;
    std::pop_heap(open_.begin(), open_.end(), std::greater<>());
    const std::size_t place = open_.back().second;
    open_.pop_back();
    if (!leads_to_end(place)) continue;
    if (gave_up_) break;
    keep_way(place);
    return true;
  }
  if (gave_up_) {
    places_.clear();
    machine_.release(mark);
    return true;
  }
  for (const Place& place : places_) known_[place.state] = false;
  return false;
}

/// Whether an end, or a way to one, is behind some token; else the states behind the tokens wait for their
/// turn. A search that takes too long counts as a way.
bool WaysToEnd::leads_to_end(std::size_t place) {
  const Machine::State from = places_[place].state;
  const auto visit = [&](const TokenTrie::Node& node, const Machine::State& state) {
    ++nodes_;
    if (node.tokens == 0) return true;
    const auto known = known_.find(state);
    if (machine_.may_end(state) || (known != known_.end() && known->second)) return false;
    if (known != known_.end() || !met_.insert(state).second) return true;
    open_.emplace_back(least_.of(machine_, state), places_.size());
    std::push_heap(open_.begin(), open_.end(), std::greater<>());
    places_.push_back({state, place});
    return goes_on();
  };
  return !visit_token_states(machine_, tokens_.all(), 0, from, on_the_way_, visit);
}

void WaysToEnd::keep_way(std::size_t place) {
  for (; place != 0; place = places_[place].before) known_[places_[place].state] = true;
  known_[places_[0].state] = true;
}

}  // namespace mmbatch
