#include "jobs/item/images/image_budget.h"

#include <fmt/format.h>

#include "jobs/item/fields.h"

namespace mmbatch {
namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 32;

std::optional<std::int64_t> whole_number(const Node& map, const char* key) {
  const Node::Entry* entry = map.get(key);
  if (entry == nullptr) return {};
  std::int64_t value = 0;
  // A listing's columns are texts, whatever stands in them.
  if (!entry->value->is_scalar() || !integer_of(entry->value->text, value) || value < 1 || value > kMost)
    ill_typed(*entry, "a whole number from 1 to 4294967296");
  return value;
}

/// One end of the budget, in tokens or in pixels.
void check_end(const Node& map, const std::optional<std::int64_t>& tokens, const char* pixels) {
  const Node::Entry* entry = map.get(pixels);
  if (!tokens || entry == nullptr) return;
  throw PlacedError(
      ErrorCode::invalid_value, entry->place,
      fmt::format("both image_tokens and '{}' are given for the same end: one is allowed", pixels));
}

void check_order(const Node::Entry* entry, const std::optional<std::int64_t>& least,
                 const std::optional<std::int64_t>& most) {
  if (entry == nullptr || !least || !most || *least <= *most) return;
  throw PlacedError(ErrorCode::invalid_value, entry->place,
                    fmt::format("key '{}': the least, {}, is above the most, {}", entry->key, *least, *most));
}

}  // namespace

const std::vector<std::string>& image_budget_keys() {
  static const std::vector<std::string> keys = {"image_tokens", "min_pixels", "max_pixels"};
  return keys;
}

ImageBudget read_image_budget(const Node& map) {
  ImageBudget budget;
  if (const Node::Entry* tokens = map.get("image_tokens")) {
    if (tokens->value->kind != Node::Kind::map) ill_typed(*tokens, "a map of min and max");
    check_keys(*tokens->value, {"min", "max"}, "image_tokens");
    budget.min_tokens = whole_number(*tokens->value, "min");
    budget.max_tokens = whole_number(*tokens->value, "max");
    check_order(tokens, budget.min_tokens, budget.max_tokens);
  }
  budget.min_pixels = whole_number(map, "min_pixels");
  budget.max_pixels = whole_number(map, "max_pixels");
  check_order(map.get("min_pixels"), budget.min_pixels, budget.max_pixels);
  check_end(map, budget.min_tokens, "min_pixels");
  check_end(map, budget.max_tokens, "max_pixels");
  return budget;
}

ImageBudget merged(ImageBudget weaker, const ImageBudget& stronger) {
  if (stronger.min_tokens || stronger.min_pixels) {
    weaker.min_tokens = stronger.min_tokens;
    weaker.min_pixels = stronger.min_pixels;
  }
  if (stronger.max_tokens || stronger.max_pixels) {
    weaker.max_tokens = stronger.max_tokens;
    weaker.max_pixels = stronger.max_pixels;
  }
  return weaker;
}

std::string key_text(const ImageBudget& budget) {
  std::string text;
  const auto add = [&](const char* name, const std::optional<std::int64_t>& value) {
    if (value) text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, *value);
  };
  add("min_tokens", budget.min_tokens);
  add("max_tokens", budget.max_tokens);
  add("min_pixels", budget.min_pixels);
  add("max_pixels", budget.max_pixels);
  return text;
}

}  // namespace mmbatch
