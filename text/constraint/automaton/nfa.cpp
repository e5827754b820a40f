#include "text/constraint/automaton/nfa.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>

namespace mmbatch {

Nfa::State Nfa::add() {
  if (bytes_.size() >= Work::kMaxNfaStates)
    throw ConstraintTooLarge("it has too many alternatives and repetitions");
  bytes_.emplace_back();
  skips_.emplace_back();
  return static_cast<State>(bytes_.size() - 1);
}

void Nfa::characters(State from, const CodePoints& set, State to) {
  // Sequences that end alike share their ends, so that classes of many scripts stay small.
  std::map<std::tuple<State, std::uint8_t, std::uint8_t>, State> ends;
  for (const Utf8Sequence& sequence : utf8_sequences(set)) {
    State behind = to;
    for (int i = sequence.length - 1; i > 0; --i) {
      const auto [at, added] = ends.emplace(std::tuple(behind, sequence.low[i], sequence.high[i]), State{0});
      if (added) {
        at->second = add();
        edge(at->second, sequence.low[i], sequence.high[i], behind);
      }
      behind = at->second;
    }
    edge(from, sequence.low[0], sequence.high[0], behind);
  }
}

/// The sets of states that one text leads to, each of which becomes a state.
class Nfa::Subsets {
 public:
  Subsets(const Nfa& nfa, State accept, Work& work)
      : nfa_(nfa), accept_(accept), work_(work), seen_(nfa.states()) {}

  using Set = std::vector<State>;

  /// What is reached without a byte; at the end of the text, also by `$`.
  Set closure(Set from, When besides) {
    ++mark_;
    Set out;
    for (const State s : from) visit(s, out);
    for (std::size_t i = 0; i < out.size(); ++i) {
      for (const Skip& skip : nfa_.skips_[out[i]]) {
        if (skip.when == When::always || skip.when == besides) visit(skip.to, out);
      }
    }
    work_.spend(out.size() * kStepsOfState + 1);
    std::sort(out.begin(), out.end());
    return out;
  }

  bool accepts(const Set& set, When besides) {
    if (std::binary_search(set.begin(), set.end(), accept_)) return true;
    const Set end = closure(set, besides);
    return std::binary_search(end.begin(), end.end(), accept_);
  }

 private:
  static constexpr std::size_t kStepsOfState = 16;  // it is sorted, hashed, kept, and its edges followed

  void visit(State s, Set& out) {
    if (seen_[s] == mark_) return;
    seen_[s] = mark_;
    out.push_back(s);
  }

  const Nfa& nfa_;
  State accept_;
  Work& work_;
  std::vector<std::uint32_t> seen_;
  std::uint32_t mark_ = 0;
};

namespace {

struct SetHash {
  std::size_t operator()(const std::vector<std::uint32_t>& set) const {
    std::size_t hash = set.size();
    for (const std::uint32_t s : set) hash = (hash ^ s) * 0x9E3779B97F4A7C15ull;
    return hash;
  }
};

}  // namespace

Dfa Nfa::determinise(State start, State accept, Work& work) const {
  std::array<bool, 257> begins{};
  for (const auto& edges : bytes_) {
    for (const ByteEdge& e : edges) begins[e.low] = begins[e.high + 1u] = true;
  }
  const auto class_of = classes_from_borders(begins);
  const std::size_t classes = class_of[255] + 1u;
  DfaBuilder builder(class_of);
  Subsets subsets(*this, accept, work);
  std::unordered_map<Subsets::Set, Dfa::State, SetHash> numbers;
  std::vector<const Subsets::Set*> order{nullptr};
  const auto number = [&](Subsets::Set set) {
    if (set.empty()) return Dfa::kDead;
    const auto [at, added] = numbers.emplace(std::move(set), Dfa::kDead);
    if (added) {
      if (builder.states() > Work::kMaxStates) throw ConstraintTooLarge("its automaton has too many states");
      at->second = builder.add();
      order.push_back(&at->first);
      if (subsets.accepts(at->first, When::at_end)) builder.accept(at->second);
    }
    return at->second;
  };
  // An empty text is at its beginning and at its end: `^$` accepts it.
  Subsets::Set first = subsets.closure({start}, When::at_begin);
  builder.start(number(std::move(first)));
  std::vector<Subsets::Set> targets(classes);
  for (Dfa::State from = 1; from < order.size(); ++from) {
    for (auto& target : targets) target.clear();
    for (const State s : *order[from]) {
      for (const ByteEdge& e : bytes_[s]) {
        for (std::size_t c = class_of[e.low]; c <= class_of[e.high]; ++c) targets[c].push_back(e.to);
      }
    }
    for (std::size_t c = 0; c < classes; ++c) {
      if (targets[c].empty()) continue;
      builder.set(from, static_cast<std::uint8_t>(c),
                  c > 0 && targets[c] == targets[c - 1]
                      ? builder.target(from, static_cast<std::uint8_t>(c - 1))
                      : number(subsets.closure(targets[c], When::always)));
    }
  }
  return std::move(builder).finish(work);
}

Dfa any_text(Work& work) {
  Nfa nfa;
  const Nfa::State only = nfa.add();
  nfa.characters(only, CodePoints::all(), only);
  return nfa.determinise(only, only, work);
}

}  // namespace mmbatch
