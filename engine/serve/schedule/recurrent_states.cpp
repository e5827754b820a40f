// What the scheduler does for recurrent layers. Their state is one slot for all positions so far, so a
// sequence cannot go back: a prefix is reused where a snapshot of the state at its end was kept.

#include <algorithm>
#include <limits>

#include "engine/serve/schedule/scheduler.h"
#include "engine/serve/strategy.h"

namespace mmbatch {
namespace {

std::size_t last_multiple(std::size_t grid, std::size_t position) {
  return position / grid * grid;
}

}  // namespace

std::size_t Scheduler::state_slots() const {
  return states_.slots != nullptr ? states_.slots->blocks() : std::numeric_limits<std::size_t>::max();
}

/// Slots that a request takes at most: those of all its sequences before a step and behind it.
std::size_t Scheduler::most_slots(const SequenceGroup& group) const {
  return states_.slots != nullptr ? 2 * group.strategy->width() : 0;
}

std::size_t Scheduler::free_slots() const {
  return states_.slots != nullptr ? states_.slots->available() : std::numeric_limits<std::size_t>::max();
}

/// Positions of a sequence whose content has the same bits in every request that begins with it. With
/// recurrent layers those are the whole chunks of the prompt: the rest of it is one shorter chunk, and what
/// follows is computed token by token.
std::size_t Scheduler::shareable_end(const SequenceGroup& group) const {
  if (states_.slots == nullptr) return std::numeric_limits<std::size_t>::max();
  return last_multiple(states_.grid, group.prompt_tokens());
}

/// A prompt's steps end on the grid, or with the prompt; and where others are likely to go another way:
/// behind its last image, and before its last token.
std::size_t Scheduler::cut_to_grid(const Sequence& sequence, std::size_t count, const StepPlan& plan) const {
  if (states_.slots == nullptr || count == 0) return count;
  const Prompt& prompt = *sequence.group->request.prompt;
  const std::size_t begin = sequence.computed, tokens = prompt.tokens();
  if (begin >= tokens) return count;
  std::size_t end = begin + count;
  if (end < tokens) {
    end = last_multiple(states_.grid, end);
    if (end <= begin) {
      if (plan.rows > 0) return 0;
      end = std::min(begin + states_.grid, tokens);
    }
  }
  std::size_t images_end = 0;
  for (const FeatureSpan& image : prompt.features)
    images_end = std::max(images_end, image.begin + image.rows->rows());
  for (const std::size_t fork :
       {last_multiple(states_.grid, images_end), last_multiple(states_.grid, tokens - 1)}) {
    if (begin < fork && fork < end) end = fork;
  }
  return end - begin;
}

/// Finds the place where the sequence's next state goes. A snapshot stays as it is.
bool Scheduler::reserve_state(Sequence& sequence, StepPlan& plan) {
  if (states_.slots == nullptr) return true;
  const auto in_place = [&] {
    return sequence.state.block() >= 0 && !states_.slots->published(sequence.state) &&
           states_.slots->claim(sequence.state);
  };
  if (in_place()) return true;
  if (!make_room(
          *sequence.group, [&] { return states_.slots->available() > 0; }, plan))
    return false;
  if (in_place()) return true;  // making room may have ended the sharing
  sequence.next_state = std::move(*states_.slots->allocate());
  return true;
}

namespace {

/// A snapshot's name: where the keys and values before it end.
BlockContent state_behind(std::uint64_t publication) {
  return {.parent = publication, .group = 0, .keys = {}};
}

}  // namespace

bool Scheduler::state_is_known(std::uint64_t publication) const {
  return states_.slots == nullptr || states_.slots->publication_of(state_behind(publication)) != 0;
}

void Scheduler::find_state(Sequence& sequence) {
  if (states_.slots == nullptr || sequence.computed == 0) return;
  sequence.state = std::move(states_.slots->find(state_behind(sequence.publication))->handle);
}

/// Publishes the state where others could go on from it.
void Scheduler::keep_state(Sequence& sequence) {
  if (states_.slots == nullptr || sequence.computed == 0) return;
  const bool shareable = sequence.computed <= shareable_end(*sequence.group) &&
                         sequence.computed == sequence.published_blocks * options_.block_tokens;
  if (shareable) states_.slots->publish(sequence.state, state_behind(sequence.publication));
}

void Scheduler::share_state(Sequence& sequence, const Sequence& other) {
  if (states_.slots != nullptr && other.state.block() >= 0)
    sequence.state = states_.slots->share(other.state);
}

}  // namespace mmbatch
