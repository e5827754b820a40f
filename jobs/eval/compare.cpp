#include "jobs/eval/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/base/error.h"
#include "engine/base/text/counted.h"
#include "engine/base/text/visible.h"
#include "jobs/metrics/draws.h"
#include "jobs/results/schema.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

using Key = std::pair<std::string, std::string>;  // job, id

}  // namespace

ComparedSide compared_side(const std::filesystem::path& database, const std::string& written,
                           EvalOptions options) {
  options.run_option = "--compare";
  if (is_number(written) || written == "latest") {
    options.run = written;
    return {database, options};
  }
  const std::size_t colon = written.rfind(':');
  const bool with_run = colon != std::string::npos && is_number(written.substr(colon + 1));
  options.run = with_run ? written.substr(colon + 1) : "";
  return {with_run ? written.substr(0, colon) : written, options};
}

namespace {

std::map<Key, ScoredItem> items_of(const ComparedSide& side) {
  std::map<Key, ScoredItem> items;
  for_each_scored(*open_for_reading(side.database), side.options, [&](const ScoredItem& item) {
    items.emplace(Key{item.job, item.id}, item);
  });
  return items;
}

/// 95 % of the mean difference. An item's difference is -1, 0 or 1, so a resample is as many draws from three
/// shares; above kDraws items the normal distribution that they come close to is taken.
std::pair<double, double> paired_interval(const Comparison& c, int samples) {
  constexpr std::uint64_t kDraws = 20'000;
  const auto n = static_cast<double>(c.items);
  if (c.items > kDraws) {
    const double square = static_cast<double>(c.lost + c.gained) / n;
    const double margin = 1.959964 * std::sqrt(std::max(0.0, square - c.difference * c.difference) / n);
    return {c.difference - margin, c.difference + margin};
  }
  Draws draws;
  std::vector<double> means;
  for (int i = 0; i < samples; ++i) {
    std::int64_t sum = 0;
    for (std::uint64_t k = 0; k < c.items; ++k) {
      const std::uint64_t draw = draws.below(c.items);
      sum += draw < c.gained ? 1 : draw < c.gained + c.lost ? -1 : 0;
    }
    means.push_back(static_cast<double>(sum) / n);
  }
  std::sort(means.begin(), means.end());
  const auto at = [&](double share) {
    return means[static_cast<std::size_t>(share * static_cast<double>(means.size() - 1) + 0.5)];
  };
  return {at(0.025), at(0.975)};
}

}  // namespace

double mcnemar_p_value(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t n = a + b;
  if (n == 0) return 1;
  // The sum of binomial probabilities up to the smaller count, in logarithms.
  const auto log_choose = [&](std::uint64_t k) {
    return std::lgamma(static_cast<double>(n) + 1) - std::lgamma(static_cast<double>(k) + 1) -
           std::lgamma(static_cast<double>(n - k) + 1);
  };
  double tail = 0;
  for (std::uint64_t k = 0; k <= std::min(a, b); ++k)
    tail += std::exp(log_choose(k) - static_cast<double>(n) * std::log(2.0));
  return std::min(1.0, 2 * tail);
}

Comparison compare(const std::filesystem::path& database, const std::string& first, const std::string& second,
                   const EvalOptions& options) {
  const Matcher matches(options.match);
  Comparison c;
  c.first = first;
  c.second = second;
  const auto before = items_of(compared_side(database, first, options));
  const auto after = items_of(compared_side(database, second, options));
  for (const auto& [key, one] : before) {
    const auto found = after.find(key);
    if (found == after.end()) {
      ++c.only_first;
      continue;
    }
    const ScoredItem& two = found->second;
    // Either side may have been stored without references.
    const auto& references = two.references.empty() ? one.references : two.references;
    const bool was = one.answer && matches(*one.answer, references, one.job_rules->rules);
    const bool is = two.answer && matches(*two.answer, references, two.job_rules->rules);
    if (one.answer != two.answer)
      c.changed.push_back(
          {key.first, key.second, one.answer.value_or(""), two.answer.value_or(""), references, was, is});
    if (references.empty()) continue;
    ++c.items;
    ++(was ? (is ? c.both_correct : c.lost) : (is ? c.gained : c.both_wrong));
  }
  for (const auto& [key, item] : after) c.only_second += before.count(key) == 0 ? 1 : 0;
  if (c.items > 0) {
    c.difference =
        (static_cast<double>(c.gained) - static_cast<double>(c.lost)) / static_cast<double>(c.items);
    if (options.bootstrap_samples > 0) c.interval = paired_interval(c, options.bootstrap_samples);
    c.p_value = mcnemar_p_value(c.lost, c.gained);
  }
  return c;
}

std::string to_json(const Comparison& c) {
  std::string changed;
  for (const ChangedItem& item : c.changed) {
    changed += fmt::format(
        "{}{{\"job\": {}, \"id\": {}, \"first\": {}, \"second\": {}, \"references\": {}, \"first_correct\": "
        "{}, "
        "\"second_correct\": {}}}",
        changed.empty() ? "" : ", ", json_string(item.job), json_string(item.id), json_string(item.first),
        json_string(item.second), json_array(item.references), item.first_correct, item.second_correct);
  }
  const std::string interval =
      c.interval ? fmt::format("[{}, {}]", c.interval->first, c.interval->second) : "null";
  return fmt::format(
      "{{\"first\": {}, \"second\": {}, \"items\": {}, \"only_first\": {}, \"only_second\": {}, "
      "\"both_correct\": "
      "{}, \"lost\": {}, \"gained\": {}, \"both_wrong\": {}, \"difference\": {}, \"interval\": {}, "
      "\"p_value\": {}, \"changed\": [{}]}}",
      json_string(c.first), json_string(c.second), c.items, c.only_first, c.only_second, c.both_correct,
      c.lost, c.gained, c.both_wrong, c.difference, interval, c.p_value, changed);
}

std::string to_text(const Comparison& c, std::size_t limit) {
  const auto rate = [&](std::uint64_t correct) {
    return c.items == 0 ? 0.0 : static_cast<double>(correct) / static_cast<double>(c.items);
  };
  std::string out = fmt::format("{} with references on both sides (only in {}: {}, only in {}: {})\n",
                                counted(c.items, "item"), c.first, c.only_first, c.second, c.only_second);
  const std::string interval =
      c.interval ? fmt::format(" (95 % interval {:+.4f} to {:+.4f})", c.interval->first, c.interval->second)
                 : "";
  out += fmt::format("exact match: {:.4f} in {}, {:.4f} in {}: {:+.4f}{}\n", rate(c.both_correct + c.lost),
                     c.first, rate(c.both_correct + c.gained), c.second, c.difference, interval);
  out += fmt::format("{} gained, {} lost, {} correct in both, {} in neither; McNemar's test: p = {:.4g}\n",
                     c.gained, c.lost, c.both_correct, c.both_wrong, c.p_value);
  out += fmt::format("\n{} changed\n", counted(c.changed.size(), "answer"));
  const auto mark = [](const ChangedItem& item) {
    if (item.references.empty()) return "       ";
    if (item.first_correct == item.second_correct) return item.first_correct ? "correct" : "wrong  ";
    return item.second_correct ? "gained " : "lost   ";
  };
  for (std::size_t i = 0; i < std::min(limit, c.changed.size()); ++i) {
    const ChangedItem& item = c.changed[i];
    out += fmt::format("  {} {}/{}: {} -> {}", mark(item), visible_line(item.job), visible_line(item.id),
                       json_string(item.first), json_string(item.second));
    if (!item.references.empty()) out += fmt::format(" (reference {})", json_string(item.references.front()));
    out += "\n";
  }
  if (c.changed.size() > limit)
    out += fmt::format("  and {} more; --format json lists all\n", c.changed.size() - limit);
  return out;
}

}  // namespace mmbatch
