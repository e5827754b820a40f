#include "engine/serve/token_constraint.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "engine/base/error.h"

namespace mmbatch {

std::optional<TokenConstraint::State> TokenConstraint::advance_guess(State state, std::int32_t token) const {
  try {
    return advance(state, token);
  } catch (const ItemError&) {
    return std::nullopt;
  }
}

std::size_t TokenConstraint::fits(State state, std::span<const std::int32_t> tokens) const {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto next = advance_guess(state, tokens[i]);
    if (!next) return i;
    state = *next;
  }
  return tokens.size();
}

ChoiceTrie::ChoiceTrie(std::span<const std::vector<std::int32_t>> choices) : nodes_(1) {
  for (const std::vector<std::int32_t>& choice : choices) {
    State node = 0;
    for (const std::int32_t token : choice) {
      const auto [next, added] = nodes_[node].emplace(token, nodes_.size());
      node = next->second;
      if (added) nodes_.emplace_back();
    }
  }
}

void ChoiceTrie::allowed(State state, TokenMask& mask) const {
  for (const auto& [token, next] : nodes_[state]) mask.add(token);
}

std::optional<TokenConstraint::State> ChoiceTrie::advance(State state, std::int32_t token) const {
  const auto next = nodes_[state].find(token);
  if (next == nodes_[state].end()) return {};
  return next->second;
}

namespace {

bool keep_masked(const TokenMask& mask, std::span<float> scores) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  bool any = false;
  const auto words = mask.words();
  for (std::size_t w = 0; w < words.size(); ++w) {
    const auto part = scores.subspan(w * 64, std::min<std::size_t>(64, scores.size() - w * 64));
    if (words[w] == 0) {
      std::fill(part.begin(), part.end(), kNever);
      continue;
    }
    for (std::uint64_t refused = ~words[w]; refused != 0; refused &= refused - 1) {
      const auto token = static_cast<std::size_t>(std::countr_zero(refused));
      if (token < part.size()) part[token] = kNever;
    }
    any = any || std::any_of(part.begin(), part.end(), [](float score) { return score != kNever; });
  }
  return any;
}

}  // namespace

bool constrain_scores(const TokenConstraint& constraint, TokenConstraint::State state,
                      std::span<float> scores) {
  if (constraint.is_free(state)) return true;
  TokenMask mask(scores.size());
  constraint.allowed(state, mask);
  return keep_masked(mask, scores);
}

bool constrain_scores_within(const TokenConstraint& constraint, TokenConstraint::State state,
                             std::size_t left, std::span<float> scores) {
  TokenMask mask(scores.size());
  constraint.allowed_within(state, left, mask);
  return keep_masked(mask, scores);
}

bool takes_the_room(const TokenConstraint& constraint, TokenConstraint::State state, std::size_t left,
                    std::int32_t token) {
  if (!constraint.keeps_room()) return false;
  const auto next = constraint.advance(state, token);
  return next && left > 0 && !constraint.has_room(*next, left - 1) && constraint.has_room(state, left);
}

void constrain_draft(const TokenConstraint& constraint, TokenConstraint::State state,
                     std::vector<std::int32_t>& draft) {
  draft.resize(constraint.fits(state, draft));
}

}  // namespace mmbatch
