#include "jobs/report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "jobs/report/html.h"

namespace mmbatch {
namespace {

constexpr double kWidth = 560;
constexpr double kHeight = 200;  // of plots with axes
constexpr double kLeft = 46, kRight = 10, kTop = 14, kBottom = 26;

std::string svg(double height, const std::string& content, const std::string& title) {
  return fmt::format(
      "<svg viewBox=\"0 0 {} {:.0f}\" role=\"img\" aria-label=\"{}\" preserveAspectRatio=\"xMinYMin "
      "meet\">{}</svg>",
      kWidth, height, html_text(title), content);
}

std::string text(double x, double y, const char* place, const std::string& words) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\">{}</text>", x, y, place, html_text(words));
}

/// A round number not below `value`: 1, 2 or 5 times a power of ten.
double round_up(double value) {
  if (value <= 0) return 1;
  const double power = std::pow(10, std::floor(std::log10(value)));
  for (const double step : {1.0, 2.0, 5.0}) {
    if (value <= step * power) return step * power;
  }
  return 10 * power;
}

std::string number_text(double value) {
  return value >= 100 || value == std::floor(value) ? fmt::format("{:.0f}", value)
                                                    : fmt::format("{:.2g}", value);
}

/// Lines and labels of a vertical axis from 0 to `top`.
std::string vertical_axis(double top) {
  std::string out;
  for (const double share : {0.0, 0.5, 1.0}) {
    const double y = kHeight - kBottom - share * (kHeight - kTop - kBottom);
    out += fmt::format("<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" class=\"grid\"/>", kLeft,
                       kWidth - kRight, y, y);
    out += text(kLeft - 6, y + 4, "end", number_text(share * top));
  }
  return out;
}

}  // namespace

double percentile(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
}

std::string milliseconds_text(double ms) {
  if (ms < 10) return fmt::format("{:.1f} ms", ms);
  if (ms < 1000) return fmt::format("{:.0f} ms", ms);
  if (ms < 60'000) return fmt::format("{:.1f} s", ms / 1000);
  constexpr double kMost = 1e15;
  const auto seconds = static_cast<long long>(std::min(ms / 1000 + 0.5, kMost));
  if (seconds < 3600) return fmt::format("{}:{:02} min", seconds / 60, seconds % 60);
  return fmt::format("{}:{:02} h", seconds / 3600, seconds / 60 % 60);
}

std::string bar_chart(const std::vector<Bar>& bars, double full) {
  constexpr double kRow = 26, kLabels = 170, kTexts = 100;
  double largest = full;
  for (const Bar& bar : bars) largest = std::max(largest, full > 0 ? full : bar.value);
  std::string out;
  double y = 0;
  for (const Bar& bar : bars) {
    const double room = kWidth - kLabels - kTexts;
    const double width = largest > 0 ? std::clamp(bar.value / largest, 0.0, 1.0) * room : 0;
    const std::string shown = bar.label.size() > 200 ? bar.label.substr(0, 200) : bar.label;
    out += fmt::format("<g><title>{}: {}</title>", html_text(shown), html_text(bar.text));
    out += fmt::format("<svg x=\"0\" y=\"{:.0f}\" width=\"{}\" height=\"{}\">{}</svg>", y, kLabels - 10, kRow,
                       text(0, 17, "label", shown));
    out +=
        fmt::format("<rect x=\"{}\" y=\"{:.0f}\" width=\"{:.0f}\" height=\"16\" rx=\"3\" class=\"track\"/>",
                    kLabels, y + 5, room);
    out += fmt::format("<rect x=\"{}\" y=\"{:.0f}\" width=\"{:.1f}\" height=\"16\" rx=\"3\" class=\"bar\"/>",
                       kLabels, y + 5, width);
    out += text(kLabels + room + 8, y + 17, "start", bar.text) + "</g>";
    y += kRow;
  }
  return svg(y, out, "bars");
}

std::string latency_chart(const std::vector<double>& ms) {
  constexpr std::size_t kBins = 36;
  const double low = std::log(std::max(0.01, ms.front()));
  const double high = std::max(low + 0.1, std::log(std::max(0.01, ms.back())) + 1e-9);
  const auto place = [&](double value) { return (std::log(std::max(0.01, value)) - low) / (high - low); };
  std::vector<double> counts(kBins, 0);
  for (const double value : ms) {
    ++counts[std::min(kBins - 1, static_cast<std::size_t>(place(value) * static_cast<double>(kBins)))];
  }
  const double top = round_up(*std::max_element(counts.begin(), counts.end()));
  const double room = kWidth - kLeft - kRight, height = kHeight - kTop - kBottom;
  std::string out = vertical_axis(top);
  for (std::size_t i = 0; i < kBins; ++i) {
    if (counts[i] == 0) continue;
    const double begin = std::exp(low + (high - low) * static_cast<double>(i) / kBins);
    const double end = std::exp(low + (high - low) * static_cast<double>(i + 1) / kBins);
    const double bar = std::max(1.0, counts[i] / top * height);
    out += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" class=\"bar\"><title>{} to {}: "
        "{:.0f} "
        "items</title></rect>",
        kLeft + room * static_cast<double>(i) / kBins + 1, kHeight - kBottom - bar, room / kBins - 2, bar,
        milliseconds_text(begin), milliseconds_text(end), counts[i]);
  }
  for (const double share : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    out += text(kLeft + room * share, kHeight - 8,
                share == 0   ? "start"
                : share == 1 ? "end"
                             : "middle",
                milliseconds_text(std::exp(low + (high - low) * share)));
  }
  for (const auto& [share, name] : {std::pair{0.5, "median"}, std::pair{0.95, "95 %"}}) {
    const double x = kLeft + room * std::clamp(place(percentile(ms, share)), 0.0, 1.0);
    out += fmt::format("<line x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{}\" y2=\"{}\" class=\"mark\"/>", x, x, kTop,
                       kHeight - kBottom);
    const bool at_end = x > kLeft + 0.85 * room;
    out += text(at_end ? x - 4 : x + 4, share == 0.5 ? kTop + 6 : kTop + 20, at_end ? "end" : "start", name);
  }
  return svg(kHeight, out, "latency of items");
}

std::string rate_chart(const std::vector<RatePoint>& points) {
  double top = 0;
  for (const RatePoint& point : points) top = std::max(top, point.rate);
  top = round_up(top);
  const double room = kWidth - kLeft - kRight, height = kHeight - kTop - kBottom;
  const double last = std::max(1e-9, points.back().seconds);
  std::string line;
  for (const RatePoint& point : points) {
    line += fmt::format("{:.1f},{:.1f} ", kLeft + room * point.seconds / last,
                        kHeight - kBottom - point.rate / top * height);
  }
  std::string out = vertical_axis(top);
  out += fmt::format("<polygon points=\"{},{} {}{},{}\" class=\"area\"/>", kLeft, kHeight - kBottom, line,
                     kWidth - kRight, kHeight - kBottom);
  out += fmt::format("<polyline points=\"{}\" class=\"curve\"/>", line);
  for (const double share : {0.0, 0.5, 1.0}) {
    out += text(kLeft + room * share, kHeight - 8,
                share == 0   ? "start"
                : share == 1 ? "end"
                             : "middle",
                milliseconds_text(1000 * last * share));
  }
  return svg(kHeight, out, "items per second");
}

}  // namespace mmbatch
