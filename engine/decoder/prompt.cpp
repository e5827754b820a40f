#include "engine/decoder/prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

/// Finaliser of SplitMix64: spreads a counter over all bits.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

constexpr std::uint64_t kFeatureBit = std::uint64_t{1} << 63;

}  // namespace

void check(const Prompt& prompt) {
  const auto fail = [](const std::string& message) { throw ItemError(ErrorCode::invalid_value, message); };
  const std::size_t tokens = prompt.tokens();
  if (!prompt.positions.empty() && prompt.positions.size() != tokens)
    fail(fmt::format("the prompt has {} tokens and {} positions", tokens, prompt.positions.size()));
  std::size_t end = 0;
  for (const FeatureSpan& span : prompt.features) {
    if (span.first > span.rows->rows() || (span.count != SIZE_MAX && span.tokens() != span.count))
      fail(fmt::format("an image of {} feature rows has no {} rows from row {} on", span.rows->rows(),
                       span.count, span.first));
    if (span.begin < end || span.begin > tokens || span.tokens() > tokens - span.begin)
      fail(fmt::format("{} feature rows from token {} on do not fit into a prompt of {} tokens",
                       span.tokens(), span.begin, tokens));
    end = span.begin + span.tokens();
  }
  const FeatureSpan* first = prompt.features.empty() ? nullptr : &prompt.features.front();
  if (prompt.encoded > 0 && (first == nullptr || first->begin != 0 || first->tokens() != prompt.encoded ||
                             prompt.encoded >= tokens))
    fail(fmt::format("{} positions of an encoder's rows in a prompt of {} tokens", prompt.encoded, tokens));
  end = 0;
  for (const PositionRange& range : prompt.bidirectional) {
    if (range.begin < end || range.end <= range.begin || range.end > tokens)
      fail(fmt::format("tokens {} to {} cannot see each other in a prompt of {} tokens", range.begin,
                       range.end, tokens));
    end = range.end;
  }
}

bool has_shareable_prefixes(const Prompt& prompt) {
  const auto is_of_an_image = [&](const PositionRange& range) {
    return std::any_of(prompt.features.begin(), prompt.features.end(), [&](const FeatureSpan& span) {
      return span.begin == range.begin && span.begin + span.tokens() == range.end;
    });
  };
  return std::all_of(prompt.bidirectional.begin(), prompt.bidirectional.end(), is_of_an_image);
}

const float* feature_row(const Prompt& prompt, std::size_t index) {
  const auto behind =
      std::upper_bound(prompt.features.begin(), prompt.features.end(), index,
                       [](std::size_t place, const FeatureSpan& span) { return place < span.begin; });
  if (behind == prompt.features.begin()) return nullptr;
  const FeatureSpan& span = *std::prev(behind);
  return index - span.begin < span.tokens() ? span.rows->row(span.first + index - span.begin) : nullptr;
}

RopePosition rope_position(const Prompt& prompt, std::size_t index) {
  if (prompt.positions.empty()) return index < prompt.encoded ? index : index - prompt.encoded;
  if (index < prompt.tokens()) return prompt.positions[index];
  return prompt.next_position + (index - prompt.tokens());
}

std::vector<PrefixKey> content_keys(const Prompt& prompt) {
  std::vector<PrefixKey> keys(prompt.ids.begin(), prompt.ids.end());
  for (const FeatureSpan& span : prompt.features) {
    for (std::size_t r = 0; r < span.tokens(); ++r) {
      const std::uint64_t row = 0x9e3779b97f4a7c15ULL * (span.first + r + 1);
      keys[span.begin + r] = {mix(span.key.high + row) | kFeatureBit, span.key.low};
    }
  }
  for (const PositionRange& range : prompt.bidirectional) {
    for (std::size_t i = range.begin; i < range.end; ++i) keys[i].high = mix(~keys[i].high) | kFeatureBit;
  }
  for (std::size_t i = 0; i < prompt.positions.size(); ++i) {
    const RopePosition& position = prompt.positions[i];
    if (position == RopePosition(i)) continue;
    std::uint64_t& key = keys[i].high;
    key = mix(key ^ mix(position.time + 1)) | kFeatureBit;
    if (position == RopePosition(position.time)) continue;
    key = mix(mix(key ^ mix(position.row + 1)) ^ mix(position.column + 1)) | kFeatureBit;
  }
  return keys;
}

Prompt continued(const Prompt& prompt, std::span<const std::int32_t> tokens) {
  Prompt longer = prompt;
  longer.ids.insert(longer.ids.end(), tokens.begin(), tokens.end());
  if (prompt.positions.empty()) return longer;
  for (std::size_t i = prompt.tokens(); i < longer.tokens(); ++i)
    longer.positions.push_back(rope_position(prompt, i));
  longer.next_position = prompt.next_position + tokens.size();
  return longer;
}

Prompt cut_left(const Prompt& prompt, std::size_t keep) {
  const std::size_t drop = prompt.tokens() - keep;
  Prompt cut;
  cut.ids.assign(prompt.ids.begin() + static_cast<std::ptrdiff_t>(drop), prompt.ids.end());
  if (!prompt.positions.empty()) {
    cut.positions.assign(prompt.positions.begin() + static_cast<std::ptrdiff_t>(drop),
                         prompt.positions.end());
    cut.next_position = prompt.next_position;
  }
  for (const PositionRange& range : prompt.bidirectional) {
    if (range.end > drop) cut.bidirectional.push_back({std::max(range.begin, drop) - drop, range.end - drop});
  }
  return cut;
}

}  // namespace mmbatch
