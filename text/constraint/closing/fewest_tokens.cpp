#include "text/constraint/closing/fewest_tokens.h"

#include <set>
#include <vector>

#include "text/constraint/closing/token_states.h"
#include "text/constraint/constraint_error.h"

namespace mmbatch {
namespace {

constexpr std::uint64_t kMostWork = 1u << 23;  // of the machine (Machine::work), and nodes of the trie
constexpr std::size_t kMostStates = 1u << 17, kMostFrames = 1u << 20;  // some dozens of megabytes

/// Goes on token by token, all states of equally many tokens together, so that a state is met first behind
/// the fewest tokens.
class Search {
 public:
  Search(const std::shared_ptr<const Grammar>& grammar, const LeastBytes& least, const TokenBytes& tokens,
         std::size_t limit)
      : machine_(grammar), least_(least), tokens_(tokens), limit_(limit), states_(tokens.longest() + 1) {}

  std::optional<bool> run() {
    std::vector<Machine::State> level{machine_.start()}, next;
    if (machine_.may_end(level.front())) return true;
    for (std::size_t used = 0; used < limit_ && !level.empty(); ++used, level.swap(next), next.clear()) {
      for (const Machine::State& state : level) {
        if (follow(state, 0, used + 1, next)) return true;
        const bool drops_space = used == 0 && tokens_.drops_first_space();
        if (drops_space && follow(state, tokens_.all().find(" "), used + 1, next)) return true;
        if (!goes_on()) return std::nullopt;
      }
    }
    return false;
  }

 private:
  bool goes_on() const {
    return machine_.work() + nodes_ <= kMostWork && seen_.size() <= kMostStates &&
           machine_.frames() <= kMostFrames;
  }

  /// All states one token further that may still come to an end in time.
  /// @param from the trie's node behind whose bytes the state reads.  @return whether an answer may end there
  bool follow(const Machine::State& state, std::uint32_t from, std::size_t used,
              std::vector<Machine::State>& next) {
    const TokenTrie& trie = tokens_.all();
    bool ends = false;
    visit_token_states(
        machine_, trie, from, state, states_, [&](const TokenTrie::Node& node, const Machine::State& here) {
          ++nodes_;
          if (node.tokens == 0) return goes_on();
          if (used == 1 && !tokens_.beginning(trie.tokens(node), node.depth - trie.node(from).depth))
            return goes_on();
          ends = machine_.may_end(here);
          if (ends) return false;
          const std::uint64_t bytes = least_.of(machine_, here), longest = tokens_.longest();
          if ((bytes + longest - 1) / longest > limit_ - used) return goes_on();
          if (seen_.insert(here).second) next.push_back(here);
          return goes_on();
        });
    return ends;
  }

  Machine machine_;
  const LeastBytes& least_;
  const TokenBytes& tokens_;
  std::size_t limit_;
  std::vector<Machine::State> states_;  // by bytes of the token
  std::set<Machine::State> seen_;
  std::uint64_t nodes_ = 0;
};

}  // namespace

std::optional<bool> has_answer_within(const std::shared_ptr<const Grammar>& grammar, const LeastBytes& least,
                                      const TokenBytes& tokens, std::size_t limit) {
  try {
    return Search(grammar, least, tokens, limit).run();
  } catch (const TooAmbiguous&) {
    return std::nullopt;
  }
}

}  // namespace mmbatch
