#include "tests/checkers/parity_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace mmbatch::parity {

Report::Line& Report::line(const std::string& stage) {
  const auto found =
      std::find_if(lines_.begin(), lines_.end(), [&](const Line& l) { return l.stage == stage; });
  if (found != lines_.end()) return *found;
  lines_.emplace_back();
  lines_.back().stage = stage;
  return lines_.back();
}

void Report::fail(Line& line, const std::string& what, const std::string& details) {
  ++line.failed;
  fmt::print(stderr, "{}: {}: {}\n", what, line.stage, details);
}

void Report::numbers(const std::string& stage, const std::string& what, const Deviation& deviation) {
  Line& entry = line(stage);
  ++entry.checks;
  const auto share = [](const Deviation& d) { return std::isnan(d.error) ? INFINITY : d.error / d.allowed; };
  if (!entry.has_numbers || share(deviation) > share(entry.worst)) entry.worst = deviation;
  entry.has_numbers = true;
  if (deviation.fits()) return;
  fail(entry, what, fmt::format("largest error {:.3g}, allowed {:.3g}", deviation.error, deviation.allowed));
}

void Report::tokens(const std::string& stage, const std::string& what, std::size_t differing,
                    const std::string& details) {
  Line& entry = line(stage);
  ++entry.checks;
  entry.has_tokens = true;
  entry.differing += differing;
  if (differing > 0) fail(entry, what, fmt::format("{} tokens differ: {}", differing, details));
}

void Report::failure(const std::string& stage, const std::string& what, const std::string& details) {
  Line& entry = line(stage);
  ++entry.checks;
  fail(entry, what, details);
}

std::size_t Report::checks() const {
  std::size_t total = 0;
  for (const Line& entry : lines_) total += entry.checks;
  return total;
}

std::size_t Report::failed() const {
  std::size_t total = 0;
  for (const Line& entry : lines_) total += entry.failed;
  return total;
}

std::string Report::table() const {
  std::string text;
  for (const Line& entry : lines_) {
    text += fmt::format("{:<28} {:>4} checks {:>3} failed", entry.stage, entry.checks, entry.failed);
    if (entry.has_numbers) {
      text +=
          fmt::format("   largest error {:.2e} of {:.2e} allowed", entry.worst.error, entry.worst.allowed);
    }
    if (entry.has_tokens) text += fmt::format("   {} tokens differ", entry.differing);
    text += '\n';
  }
  return text + fmt::format("parity: {} checks, {} failed\n", checks(), failed());
}

}  // namespace mmbatch::parity
