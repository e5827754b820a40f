#include "engine/decoder/prompt.h"

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

const float* feature_row(const Prompt& prompt, std::size_t position) {
  for (const FeatureSpan& span : prompt.features) {
    if (position >= span.begin && position < span.begin + span.rows->rows()) {
      return span.rows->row(position - span.begin);
    }
  }
  return nullptr;
}

std::vector<std::uint64_t> content_keys(const Prompt& prompt) {
  std::vector<std::uint64_t> keys(prompt.ids.begin(), prompt.ids.end());
  for (const FeatureSpan& span : prompt.features) {
    for (std::size_t r = 0; r < span.rows->rows(); ++r) {
      keys[span.begin + r] = mix(span.key + 0x9e3779b97f4a7c15ULL * (r + 1)) | kFeatureBit;
    }
  }
  return keys;
}

}  // namespace mmbatch
