#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace mmbatch::bench {

/// Columns of text under headings; those whose heading begins with '>' are flushed right.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> headings);
  void add(std::vector<std::string> cells) { lines_.push_back(std::move(cells)); }
  void print(std::ostream& out) const;

 private:
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> lines_;
};

}  // namespace mmbatch::bench
