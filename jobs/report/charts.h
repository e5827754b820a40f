#pragma once

#include <string>
#include <vector>

namespace mmbatch {

/// Plots as inline SVG; colours are classes of the page's style sheet. Labels are escaped.

struct Bar {
  std::string label;
  double value = 0;
  std::string text;  // written after the bar
};
/// Horizontal bars. @param full the value that fills the width; 0: the largest
std::string bar_chart(const std::vector<Bar>& bars, double full);

/// How often values fall into bins whose widths grow with the values, with lines at median and 95 %.
/// @param milliseconds sorted, not empty
std::string latency_chart(const std::vector<double>& milliseconds);

struct RatePoint {
  double seconds = 0;  // at work, from the start
  double rate = 0;     // a second
};
std::string rate_chart(const std::vector<RatePoint>& points);

/// Of sorted values.
double percentile(const std::vector<double>& sorted, double share);

/// "0.8 ms", "120 ms", "3.1 s", "2:05 min".
std::string milliseconds_text(double milliseconds);

}  // namespace mmbatch
