#include "jobs/query/table_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <ostream>

#include "engine/base/text/lower_case.h"
#include "engine/base/text/utf8.h"
#include "engine/base/text/visible.h"
#include "jobs/text/json_text.h"
#include "jobs/text/number_text.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

constexpr std::size_t kHeldRows = 1000;
constexpr std::size_t kNarrowest = 4;
constexpr std::size_t kGap = 2;

class TableWriter : public RowWriter {
 public:
  TableWriter(std::vector<std::string> names, std::size_t width, std::ostream& out)
      : names_(std::move(names)), numeric_(names_.size(), 1), width_(width), out_(out) {
    for (std::string& name : names_) name = visible_line(name);
  }

  void row(const Statement& row) override {
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const int column = static_cast<int>(i);
      const Statement::Type type = row.type(column);
      if (type == Statement::Type::text || type == Statement::Type::blob) numeric_[i] = 0;
      cells.push_back(plain_value(row, column, names_[i]));
    }
    held_.push_back(std::move(cells));
    if (!widths_.empty() || held_.size() == kHeldRows) print();
  }

  void end() override { print(); }

 private:
  void print() {
    if (widths_.empty()) measure();
    for (const auto& cells : held_) print_line(cells);
    held_.clear();
  }

  void measure() {
    std::vector<std::size_t> natural;
    for (const std::string& name : names_) natural.push_back(display_width(name));
    for (const auto& cells : held_) {
      for (std::size_t i = 0; i < cells.size(); ++i)
        natural[i] = std::max(natural[i], display_width(cells[i]));
    }
    widths_ = fit_widths(natural, width_);
    print_line(names_);
    std::vector<std::string> rule;
    for (const std::size_t width : widths_) rule.emplace_back(width, '-');
    print_line(rule);
  }

  void print_line(const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::size_t own = display_width(cells[i]);
      if (i > 0) line += std::string(kGap, ' ');
      if (numeric_[i] != 0 && own < widths_[i])
        line += std::string(widths_[i] - own, ' ') + cells[i];
      else
        line += fitted(cells[i], widths_[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out_ << line << '\n';
  }

  std::vector<std::string> names_;
  std::vector<char> numeric_;  // columns of numbers are right-aligned
  std::size_t width_;
  std::ostream& out_;
  std::vector<std::size_t> widths_;
  std::vector<std::vector<std::string>> held_;
};

std::string hexadecimal(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

}  // namespace

std::string plain_value(const Statement& row, int column, const std::string& name) {
  if (row.type(column) == Statement::Type::blob) return hexadecimal(row.text(column));
  if (row.type(column) == Statement::Type::real) return readable_number(row.real(column));
  std::string text(row.text(column));
  // One image or reference reads better without its list.
  if (name == "images" || name == "references") {
    const std::vector<std::string> parts = parse_json_array(text);
    if (!parts.empty() || text == "[]") text = fmt::format("{}", fmt::join(parts, ", "));
  }
  return visible_line(replace_all(text, "\n", "⏎"));
}

std::string fitted(const std::string& text, std::size_t width) {
  const std::size_t own = display_width(text);
  if (own <= width) return text + std::string(width - own, ' ');
  if (width == 0) return {};
  std::string out;
  std::size_t used = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const std::size_t step = display_width(next_code_point(text, at));
    if (used + step > width - 1) break;
    out.append(text, begin, at - begin);
    used += step;
  }
  return out + "…" + std::string(width - 1 - used, ' ');
}

std::vector<std::size_t> fit_widths(std::vector<std::size_t> natural, std::size_t width) {
  if (width == 0 || natural.empty()) return natural;
  const auto total = [&] {
    return std::accumulate(natural.begin(), natural.end(), std::size_t{0}) + kGap * (natural.size() - 1);
  };
  while (total() > width) {
    const auto widest = std::max_element(natural.begin(), natural.end());
    if (*widest <= kNarrowest) break;
    // Down to the next widest at once: an answer can be very long.
    std::size_t next = kNarrowest;
    for (const std::size_t one : natural) {
      if (one < *widest) next = std::max(next, one);
    }
    const std::size_t excess = total() - width;
    const auto equals = static_cast<std::size_t>(std::count(natural.begin(), natural.end(), *widest));
    const std::size_t cut = std::max<std::size_t>(1, std::min(*widest - next, excess / equals));
    const std::size_t old = *widest;
    if (excess < equals)
      *widest -= 1;
    else
      std::replace(natural.begin(), natural.end(), old, old - cut);
  }
  return natural;
}

std::unique_ptr<RowWriter> make_table_writer(std::vector<std::string> names, std::size_t width,
                                             std::ostream& out) {
  return std::make_unique<TableWriter>(std::move(names), width, out);
}

}  // namespace mmbatch
