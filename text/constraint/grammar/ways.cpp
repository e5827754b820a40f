#include "text/constraint/grammar/ways.h"

#include <algorithm>
#include <vector>

namespace mmbatch {
namespace {

using Kind = GrammarNode::Kind;

class Ways {
 public:
  Ways(const Grammar& grammar, std::size_t limit)
      : grammar_(grammar), limit_(limit), known_(grammar.nodes.size(), kUnknown) {}

  std::size_t of(NodeId id) {
    if (known_[id] != kUnknown) return known_[id];
    known_[id] = 1;  // for a node that leads to itself before a byte is read; compilers refuse such
    return known_[id] = std::min(counted(grammar_.nodes[id]), limit_ + 1);
  }

 private:
  static constexpr std::size_t kUnknown = static_cast<std::size_t>(-1);

  std::size_t counted(const GrammarNode& node) {
    std::size_t ways = 0;
    switch (node.kind) {
      case Kind::any_of:
        for (const NodeId child : grammar_.any_of[node.index]) ways = std::min(ways + of(child), limit_ + 1);
        return ways;
      case Kind::sequence:
        for (const NodeId child : grammar_.sequences[node.index]) {
          ways = std::min(ways + of(child), limit_ + 1);
          if (!grammar_.nodes[child].nullable) break;
        }
        return ways;
      case Kind::repeat:
        return of(grammar_.repeats[node.index].child);
      default:
        return 1;
    }
  }

  const Grammar& grammar_;
  const std::size_t limit_;
  std::vector<std::size_t> known_;
};

}  // namespace

std::size_t most_ways_to_begin(const Grammar& grammar, std::size_t limit) {
  Ways ways(grammar, limit);
  std::size_t most = 0;
  for (NodeId id = 0; id < grammar.nodes.size(); ++id) most = std::max(most, ways.of(id));
  return most;
}

}  // namespace mmbatch
