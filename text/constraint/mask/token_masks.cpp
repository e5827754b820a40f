#include "text/constraint/mask/token_masks.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/text/utf8.h"
#include "text/constraint/closing/ways_to_end.h"
#include "text/constraint/constraint_error.h"
#include "text/constraint/mask/trie_walk.h"

namespace mmbatch {
namespace {

using Kind = GrammarNode::Kind;

// Of a state's forced stretch, beyond which it is not looked for.
constexpr std::uint64_t kMaxForcedWork = 8'000'000;
// Of Machine::key_of: everything that may follow counts.
constexpr std::uint32_t kAnyReach = UINT32_MAX - 1;

std::size_t memory_of(const TokenSet& set) {
  return set.words().size() * sizeof(std::uint64_t) + 256;
}

TooAmbiguous too_ambiguous_here() {
  return {ErrorCode::unsupported,
          fmt::format("the grammar or schema is too ambiguous: to find the tokens that may follow takes more "
                      "than {} steps, which is the most: give alternatives different beginnings",
                      TokenMasks::kMaxWork)};
}

/// The states of a walk down a trie, and the frames that each of them added, which go when the walk leaves
/// it.
class WalkedStates {
 public:
  WalkedStates(Machine& machine, const TokenTrie& trie, std::uint32_t from, std::size_t longest,
               const Machine::State& state)
      : machine_(machine), states_(longest + 1), marks_(longest + 1, machine.mark()) {
    states_[trie.node(from).depth] = state;
  }

  /// The state at a node, whose parent's was asked last on this level.
  const Machine::State& at(const TokenTrie::Node& node) {
    if (reached_ >= node.depth) machine_.release(marks_[node.depth]);
    reached_ = node.depth;
    marks_[node.depth] = machine_.mark();
    machine_.step(states_[node.depth - 1u], node.byte, states_[node.depth]);
    return states_[node.depth];
  }

 private:
  Machine& machine_;
  std::vector<Machine::State> states_;
  std::vector<Machine::Mark> marks_;
  std::size_t reached_ = 0;  // depth of the node that was asked last
};

}  // namespace

template <class Value>
std::shared_ptr<const Value> TokenMasks::Cache<Value>::find(const std::string& key) {
  const auto at = places_.find(key);
  if (at == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, at->second);
  return at->second->value;
}

template <class Value>
void TokenMasks::Cache<Value>::put(const std::string& key, std::shared_ptr<const Value> value,
                                   std::size_t bytes) {
  bytes += 2 * key.size();
  entries_.push_front({key, std::move(value), bytes});
  places_[key] = entries_.begin();
  bytes_ += bytes;
  while (bytes_ > limit_ && entries_.size() > 1) {
    bytes_ -= entries_.back().bytes;
    places_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

TokenMasks::TokenMasks(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenBytes> tokens)
    : grammar_(std::move(grammar)), tokens_(std::move(tokens)) {
  if (tokens_->spaces_words()) least_ = std::make_shared<const LeastBytes>(grammar_);
}

std::shared_ptr<const NextTokens> TokenMasks::next(Machine& machine, const Machine::State& state,
                                                   AnswerPlace place) {
  const bool first = place == AnswerPlace::beginning && tokens_->drops_first_space();
  std::string key(1, first ? 'f' : 'b');
  // Whether an end can be reached depends on all that is to come, not on one token.
  const auto reach = least_ ? kAnyReach : static_cast<std::uint32_t>(tokens_->longest());
  for (const Machine::FrameId id : state) key += machine.key_of(id, reach) + '|';
  {
    const std::lock_guard lock(mutex_);
    if (auto known = states_.find(key)) return known;
  }
  auto next = std::make_shared<NextTokens>();
  next->may_end = machine.may_end(state);
  // Where the first space is dropped, the forced tokens of a beginning are not those of an inside.
  // Where there are dead ends, only single tokens are known to lead into none.
  if (!first && !least_) next->forced = forced_tokens(machine, state);
  if (next->forced.empty()) {
    next->allowed = unforced(machine, state, place);
    if (least_) drop_dead_ends(machine, state, place, next->allowed);
    const auto& words = next->allowed.words();
    next->only_end =
        next->may_end && std::all_of(words.begin(), words.end(), [](std::uint64_t w) { return w == 0; });
  } else {
    next->allowed = TokenSet(tokens_->vocab());
    next->allowed.add(next->forced.front());
  }
  const std::lock_guard lock(mutex_);
  states_.put(key, next, memory_of(next->allowed));
  return next;
}

TokenSet TokenMasks::unforced(Machine& machine, const Machine::State& state, AnswerPlace place) {
  const std::lock_guard lock(mutex_);
  TokenSet out(tokens_->vocab());
  if (place == AnswerPlace::beginning && tokens_->drops_first_space()) {
    const Machine::Mark mark = machine.mark();
    const auto add = [&](std::uint32_t from, std::size_t dropped) {
      TokenSet found(tokens_->vocab());
      walk(machine, tokens_->all(), from, state, found);
      for (const std::int32_t id : found.ids()) {
        if (tokens_->at_beginning(id).size() + dropped == tokens_->of(id).size()) out.add(id);
      }
    };
    add(0, 0);
    if (const std::uint32_t space = tokens_->all().find(" ")) add(space, 1);
    machine.release(mark);
    return out;
  }
  std::uint64_t work = 0;
  for (const Machine::FrameId id : state) {
    const Mask mask = of_frame(machine, id);
    work += mask->work;
    if (work > kMaxWork) throw too_ambiguous_here();
    out.add(mask->tokens);
  }
  return out;
}

Machine::State TokenMasks::behind(Machine& machine, const Machine::State& state, AnswerPlace place,
                                  std::int32_t token) const {
  const std::string_view bytes =
      place == AnswerPlace::beginning ? tokens_->at_beginning(token) : tokens_->of(token);
  if (bytes.empty()) return {};
  const Machine::Mark mark = machine.mark();
  Machine::State now = state, behind;
  for (const char byte : bytes) {
    machine.step(now, static_cast<std::uint8_t>(byte), behind);
    now.swap(behind);
    if (!now.empty()) continue;
    machine.release(mark);  // what does not come is not part of the answer
    return now;
  }
  if (machine.frames() > kMaxFrames) {
    throw TooAmbiguous(
        ErrorCode::unsupported,
        fmt::format("the grammar or schema is too ambiguous: to read the answer so far took {} "
                    "places, and {} is the most",
                    machine.frames(), kMaxFrames));
  }
  return now;
}

/// Takes out the tokens behind which no tokens spell a way to an end.
void TokenMasks::drop_dead_ends(Machine& machine, const Machine::State& state, AnswerPlace place,
                                TokenSet& tokens) const {
  const Machine::Mark mark = machine.mark();
  {
    WaysToEnd ways(machine, *least_, *tokens_);
    for (const std::int32_t id : tokens.ids()) {
      if (!ways.any_from(behind(machine, state, place, id))) tokens.remove(id);
    }
  }
  machine.release(mark);
}

TokenMasks::Mask TokenMasks::of_frame(Machine& machine, Machine::FrameId frame) {
  const std::string key = machine.key_of(frame, static_cast<std::uint32_t>(tokens_->longest()));
  if (auto known = frames_.find(key)) return known;
  const std::uint64_t before = machine.work();
  auto mask = std::make_shared<FrameTokens>(FrameTokens{.tokens = walked(machine, frame)});
  mask->work = machine.work() - before;
  frames_.put(key, mask, memory_of(mask->tokens));
  return mask;
}

TokenSet TokenMasks::walked(Machine& machine, Machine::FrameId id) {
  const Machine::Frame frame = machine.frame(id);
  const GrammarNode& node = grammar_->nodes[frame.node];
  if (node.kind == Kind::bytes && frame.parent == 0) return inside_bytes(frame, *grammar_->bytes[node.index]);
  const Machine::Mark mark = machine.mark();
  TokenSet out(tokens_->vocab());
  bool walks_all = true;
  if (node.kind == Kind::string && frame.phase < 2 && frame.c == StringPlace::none) {
    const StringRule& rule = grammar_->strings[node.index];
    // Of few possible keys, one must be left: that depends on more than the string.
    if (frame.phase == 0 || rule.texts_from(frame.a) == kManyTexts) {
      out = inside_string(frame, rule);
      walks_all = false;
    }
  }
  walk(machine, walks_all ? tokens_->all() : tokens_->quoting(), 0, {id}, out);
  machine.release(mark);
  return out;
}

/// Tokens without a quote or a backslash that keep within a string.
TokenSet TokenMasks::inside_string(const Machine::Frame& frame, const StringRule& rule) {
  const StringPlace start = Machine::place_of(frame);
  const auto reach = static_cast<std::uint32_t>(tokens_->longest());
  const std::uint32_t left = std::min(rule.left(start), reach + 1);
  const std::uint32_t missing = rule.counts_only_the_end() ? 0 : start.characters;
  std::string key;
  const auto add = [&](auto value) { key.append(reinterpret_cast<const char*>(&value), sizeof value); };
  const bool shared = rule.takes_everything();  // then the length is judged token by token
  if (shared) {
    add(&rule.value());
  } else {
    add(&rule);
    add(left);
    add(missing);
  }
  add(start.value);
  std::shared_ptr<const TokenSet> inside = strings_.find(key);
  if (!inside) {
    const auto stays = [&](StringPlace& place, std::uint8_t byte) {
      int decoded = -1;
      return byte != '"' && byte != '\\' &&
             (shared ? rule.step_value(place, byte) : rule.step(place, byte, decoded) == StringStep::inside);
    };
    // What keeps within a string of any text is the same in every grammar.
    const bool any = shared && start.value == rule.start().value && rule.value() == tokens_->any_text();
    inside = any ? std::shared_ptr<const TokenSet>(tokens_, &tokens_->within_text())
                 : std::make_shared<const TokenSet>(
                       tokens_along(tokens_->all(), tokens_->vocab(), tokens_->longest(), start, stays));
    strings_.put(key, inside, any ? 0 : memory_of(*inside));
  }
  if (!shared || left > reach) return *inside;
  return tokens_->with_characters(*inside, left);
}

/// Tokens that keep within the automaton of a whole answer.
TokenSet TokenMasks::inside_bytes(const Machine::Frame& frame, const Dfa& dfa) const {
  const auto step = [&](Dfa::State& state, std::uint8_t byte) {
    state = dfa.next(state, byte);
    return state != Dfa::kDead;
  };
  return tokens_along(tokens_->all(), tokens_->vocab(), tokens_->longest(), frame.a, step);
}

/// Adds the tokens below a node whose bytes the machine reads.
void TokenMasks::walk(Machine& machine, const TokenTrie& trie, std::uint32_t from,
                      const Machine::State& state, TokenSet& out) const {
  const std::uint64_t limit = machine.work() + kMaxWork;
  WalkedStates states(machine, trie, from, tokens_->longest(), state);
  for (std::uint32_t i = from + 1; i < trie.node(from).end;) {
    const TokenTrie::Node& node = trie.node(i);
    if (states.at(node).empty()) {
      i = node.end;
      continue;
    }
    if (machine.work() > limit) throw too_ambiguous_here();
    for (const std::int32_t token : trie.tokens(node)) out.add(token);
    ++i;
  }
}

/// Whether the machine reads some token below a node, or may do so: beyond `limit` it is not asked.
bool TokenMasks::any_below(Machine& machine, std::uint32_t from, const Machine::State& state,
                           std::uint64_t limit) const {
  const TokenTrie& trie = tokens_->all();
  WalkedStates states(machine, trie, from, tokens_->longest(), state);
  for (std::uint32_t i = from + 1; i < trie.node(from).end;) {
    const TokenTrie::Node& node = trie.node(i);
    if (states.at(node).empty()) {
      i = node.end;
      continue;
    }
    if (node.tokens > 0 || machine.work() > limit) return true;
    ++i;
  }
  return false;
}

/// The longest stretch that is the only way on; it stops where the answer may end.
std::string TokenMasks::forced_bytes(Machine& machine, Machine::State state) const {
  constexpr std::size_t kMost = 4096;
  const std::uint64_t limit = machine.work() + kMaxForcedWork;
  std::string out;
  Machine::State behind, only;
  while (out.size() < kMost && machine.work() < limit && !machine.may_end(state)) {
    int byte = -1;
    for (int b = 0; b < 256; ++b) {
      const Machine::Mark mark = machine.mark();
      machine.step(state, static_cast<std::uint8_t>(b), behind);
      if (behind.empty()) {
        machine.release(mark);
        continue;
      }
      if (byte >= 0) return out;
      byte = b;
      only = behind;
    }
    if (byte < 0) return out;
    out += static_cast<char>(byte);
    state = only;
  }
  return out;
}

/// Of the encoding of the forced bytes, the tokens that no other token could take in and go on.
std::vector<std::int32_t> TokenMasks::forced_tokens(Machine& machine, const Machine::State& state) const {
  const Machine::Mark mark = machine.mark();
  const std::string forced = forced_bytes(machine, state);
  if (forced.empty() || !is_utf8(forced)) {
    machine.release(mark);
    return {};
  }
  std::vector<std::int32_t> tokens = tokens_->tokenizer().encode_continuation(forced);
  std::string joined;
  for (const std::int32_t token : tokens) joined += tokens_->of(token);
  if (joined != forced) {
    machine.release(mark);
    return {};
  }
  Machine::State end = state, behind;
  for (const char byte : forced) {
    machine.step(end, static_cast<std::uint8_t>(byte), behind);
    end.swap(behind);
  }
  std::size_t at = 0;
  const std::uint64_t limit = machine.work() + kMaxForcedWork;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::uint32_t rest = tokens_->all().find(std::string_view(forced).substr(at));
    if (rest != 0 && any_below(machine, rest, end, limit)) {
      tokens.resize(i);
      break;
    }
    at += tokens_->of(tokens[i]).size();
  }
  machine.release(mark);
  return tokens;
}

}  // namespace mmbatch
