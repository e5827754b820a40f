#include "bench/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "bench/report.h"
#include "bench/text_table.h"

namespace mmbatch::bench {
namespace {

const Row* find_same(const std::vector<Row>& rows, const Row& wanted) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const Row& row) {
    return row.workload == wanted.workload && row.name == wanted.name && row.precision == wanted.precision;
  });
  return found == rows.end() ? nullptr : &*found;
}

/// Samples of the two do not overlap.
const char* verdict(const Timing& before, const Timing& after) {
  if (after.max < before.min) return "faster";
  return after.min > before.max ? "slower" : "within the spread";
}

std::string share_text(const std::optional<double>& share) {
  return share ? fmt::format("{:.0f} %", *share * 100) : "–";
}

}  // namespace

void compare(const std::filesystem::path& before, const std::filesystem::path& after, std::ostream& out) {
  const std::vector<Row> old_rows = read_rows(before), new_rows = read_rows(after);
  TextTable table(
      {"workload", "case", "precision", ">before", ">after", ">ratio", "", ">share before", ">share after"});
  std::size_t alone = 0;
  for (const Row& row : new_rows) {
    const Row* old_row = find_same(old_rows, row);
    if (old_row == nullptr) {
      ++alone;
      continue;
    }
    table.add({row.workload, row.name, row.precision, seconds_text(old_row->timing.median),
               seconds_text(row.timing.median),
               fmt::format("{:.2f}", row.timing.median / old_row->timing.median),
               verdict(old_row->timing, row.timing), share_text(old_row->share), share_text(row.share)});
  }
  for (const Row& row : old_rows) alone += find_same(new_rows, row) == nullptr ? 1 : 0;
  table.print(out);
  if (alone > 0) out << fmt::format("{} cases are in one of the files only\n", alone);
}

}  // namespace mmbatch::bench
