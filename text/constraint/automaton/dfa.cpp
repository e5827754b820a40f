#include "text/constraint/automaton/dfa.h"

#include <algorithm>
#include <deque>
#include <set>
#include <unordered_map>
#include <utility>

namespace mmbatch {
namespace {

/// The states from which `goal` ones are reached.
std::vector<bool> reaching(const Dfa& dfa, const std::vector<std::vector<Dfa::State>>& into) {
  std::vector<bool> reached(dfa.states());
  std::vector<Dfa::State> open;
  for (Dfa::State s = 1; s < dfa.states(); ++s) {
    if (dfa.accepts(s)) {
      reached[s] = true;
      open.push_back(s);
    }
  }
  while (!open.empty()) {
    const Dfa::State s = open.back();
    open.pop_back();
    for (const Dfa::State from : into[s]) {
      if (reached[from]) continue;
      reached[from] = true;
      open.push_back(from);
    }
  }
  return reached;
}

std::uint64_t pair_key(Dfa::State a, Dfa::State b) {
  return static_cast<std::uint64_t>(a) << 32 | b;
}

}  // namespace

bool Dfa::matches(std::string_view text) const {
  State state = start_;
  for (const char c : text) state = next(state, static_cast<std::uint8_t>(c));
  return accepts(state);
}

DfaBuilder::DfaBuilder(const std::array<std::uint8_t, 256>& class_of) {
  dfa_.class_of_ = class_of;
  dfa_.classes_ = 1u + *std::max_element(class_of.begin(), class_of.end());
  add();  // the dead one
}

Dfa::State DfaBuilder::add() {
  dfa_.table_.resize(dfa_.table_.size() + dfa_.classes_, Dfa::kDead);
  dfa_.accepts_.push_back(0);
  return static_cast<Dfa::State>(dfa_.accepts_.size() - 1);
}

Dfa DfaBuilder::finish(Work& work) && {
  const std::size_t classes = dfa_.classes_;
  work.spend(dfa_.table_.size());
  std::vector<std::vector<Dfa::State>> into(dfa_.states());
  for (std::size_t i = classes; i < dfa_.table_.size(); ++i)
    into[dfa_.table_[i]].push_back(static_cast<Dfa::State>(i / classes));
  const std::vector<bool> live = reaching(dfa_, into);
  std::vector<Dfa::State> number(dfa_.states(), Dfa::kDead), order{Dfa::kDead};
  const auto visit = [&](Dfa::State s) {
    if (!live[s] || number[s] != Dfa::kDead) return;
    number[s] = static_cast<Dfa::State>(order.size());
    order.push_back(s);
  };
  visit(dfa_.start_);
  for (std::size_t i = 1; i < order.size(); ++i) {
    for (std::size_t c = 0; c < classes; ++c) visit(dfa_.table_[order[i] * classes + c]);
  }
  Dfa out;
  out.class_of_ = dfa_.class_of_;
  out.classes_ = classes;
  out.table_.resize(order.size() * classes, Dfa::kDead);
  out.accepts_.resize(order.size());
  for (std::size_t i = 1; i < order.size(); ++i) {
    out.accepts_[i] = dfa_.accepts_[order[i]];
    for (std::size_t c = 0; c < classes; ++c)
      out.table_[i * classes + c] = number[dfa_.table_[order[i] * classes + c]];
  }
  out.start_ = number[dfa_.start_];
  work.keep(out.bytes());
  return out;
}

std::array<std::uint8_t, 256> classes_from_borders(const std::array<bool, 257>& begins) {
  std::array<std::uint8_t, 256> class_of{};
  std::uint8_t current = 0;
  for (int b = 1; b < 256; ++b) {
    if (begins[static_cast<std::size_t>(b)]) ++current;
    class_of[static_cast<std::size_t>(b)] = current;
  }
  return class_of;
}

Dfa product(const Dfa& a, const Dfa& b, DfaProduct kind, Work& work) {
  std::array<bool, 257> begins{};
  for (int i = 1; i < 256; ++i) {
    const auto byte = static_cast<std::uint8_t>(i);
    const auto before = static_cast<std::uint8_t>(i - 1);
    begins[byte] = a.class_of(byte) != a.class_of(before) || b.class_of(byte) != b.class_of(before);
  }
  const auto class_of = classes_from_borders(begins);
  std::vector<std::uint8_t> example;  // a byte of each class
  for (int i = 0; i < 256; ++i) {
    if (class_of[static_cast<std::size_t>(i)] == example.size())
      example.push_back(static_cast<std::uint8_t>(i));
  }
  DfaBuilder builder(class_of);
  std::unordered_map<std::uint64_t, Dfa::State> numbers;
  std::deque<std::pair<Dfa::State, Dfa::State>> open;
  const auto number = [&](Dfa::State x, Dfa::State y) {
    if (x == Dfa::kDead || (kind == DfaProduct::both && y == Dfa::kDead)) return Dfa::kDead;
    const auto [at, added] = numbers.emplace(pair_key(x, y), Dfa::kDead);
    if (added) {
      if (builder.states() > Work::kMaxStates) throw ConstraintTooLarge("its automaton has too many states");
      at->second = builder.add();
      if (a.accepts(x) && b.accepts(y) == (kind == DfaProduct::both)) builder.accept(at->second);
      open.emplace_back(x, y);
    }
    return at->second;
  };
  builder.start(number(a.start(), b.start()));
  for (Dfa::State from = 1; !open.empty(); ++from) {
    const auto [x, y] = open.front();
    open.pop_front();
    work.spend(example.size());
    for (std::size_t c = 0; c < example.size(); ++c)
      builder.set(from, static_cast<std::uint8_t>(c), number(a.next(x, example[c]), b.next(y, example[c])));
  }
  return std::move(builder).finish(work);
}

Dfa any_of_texts(const std::vector<std::string>& texts, Work& work) {
  std::set<std::uint8_t> used;
  for (const std::string& text : texts) {
    work.spend(text.size() + 1);
    for (const char c : text) used.insert(static_cast<std::uint8_t>(c));
  }
  std::array<std::uint8_t, 256> class_of{};
  std::uint8_t classes = used.size() < 256 ? 1 : 0;  // class 0: bytes that no text has
  for (const std::uint8_t byte : used) class_of[byte] = classes++;
  DfaBuilder builder(class_of);
  std::unordered_map<std::uint64_t, Dfa::State> edges;
  const Dfa::State start = builder.add();
  builder.start(start);
  for (const std::string& text : texts) {
    Dfa::State state = start;
    for (const char c : text) {
      const std::uint8_t byte_class = class_of[static_cast<std::uint8_t>(c)];
      const auto [at, added] = edges.emplace(pair_key(state, byte_class), Dfa::kDead);
      if (added) {
        if (builder.states() * (used.size() + 1) * sizeof(Dfa::State) > Work::kMaxTableBytes)
          throw ConstraintTooLarge("its list of texts takes more than 64 MiB");
        at->second = builder.add();
        builder.set(state, byte_class, at->second);
      }
      state = at->second;
    }
    builder.accept(state);
  }
  return std::move(builder).finish(work);
}

std::vector<std::uint32_t> text_counts(const Dfa& dfa) {
  enum Mark : std::uint8_t { unseen, open, done };
  std::vector<Mark> marks(dfa.states(), unseen);
  std::vector<std::uint32_t> counts(dfa.states(), 0);
  marks[Dfa::kDead] = done;
  std::vector<std::pair<Dfa::State, int>> path;  // state, next byte to look at
  for (Dfa::State first = 1; first < dfa.states(); ++first) {
    if (marks[first] == done) continue;
    path.assign(1, {first, 0});
    marks[first] = open;
    while (!path.empty()) {
      auto& [state, byte] = path.back();
      if (byte == 256) {
        std::uint64_t sum = dfa.accepts(state) ? 1 : 0;
        for (int b = 0; b < 256; ++b) {
          const Dfa::State to = dfa.next(state, static_cast<std::uint8_t>(b));
          sum += marks[to] == open ? kManyTexts : counts[to];
        }
        counts[state] = static_cast<std::uint32_t>(std::min<std::uint64_t>(sum, kManyTexts));
        marks[state] = done;
        path.pop_back();
        continue;
      }
      const Dfa::State to = dfa.next(state, static_cast<std::uint8_t>(byte++));
      if (marks[to] != unseen) continue;
      marks[to] = open;
      path.emplace_back(to, 0);
    }
  }
  return counts;
}

}  // namespace mmbatch
