#include "jobs/query/run_filter.h"

#include <fmt/format.h>

#include <charconv>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/text/visible.h"

namespace mmbatch {

std::string run_filter(Database& database, const std::string& run, const std::string& option) {
  if (run.empty()) return "r.current = 1";
  if (run == "all") return "1";
  std::int64_t number = 0;
  if (run == "latest") {
    number = database.number("SELECT max(key) FROM runs");
  } else {
    const auto [end, error] = std::from_chars(run.data(), run.data() + run.size(), number);
    if (error != std::errc{} || end != run.data() + run.size()) {
      throw UsageError(fmt::format("{} '{}': is neither a number nor 'latest' or 'all'", option, run));
    }
  }
  Statement known = database.prepare("SELECT 1 FROM runs WHERE key = ?1");
  if (!known.bind(1, number).step()) {
    const std::int64_t most = database.number("SELECT max(key) FROM runs");
    throw UsageError(fmt::format("{3} {0}: {1}: there is no run {0}; {2}", run, database.file().string(),
                                 most > 0 ? fmt::format("runs are 1 to {}", most) : "there are none yet",
                                 option));
  }
  return fmt::format("r.run_key = {} AND r.current >= 0", number);
}

void check_job(Database& database, const std::string& job) {
  constexpr std::size_t kListed = 40;
  if (job.empty()) return;
  Statement known = database.prepare("SELECT 1 FROM jobs WHERE name = ?1");
  if (known.bind(1, job).step()) return;
  Statement rows = database.prepare("SELECT name FROM jobs ORDER BY key");
  std::vector<std::string> names;
  while (rows.step()) names.push_back(fmt::format("'{}'", visible_line(rows.text(0))));
  const std::size_t more = names.size() > kListed ? names.size() - kListed : 0;
  names.resize(names.size() - more);
  throw UsageError(
      fmt::format("--job '{}': {} has no such job; {}{}", job, database.file().string(),
                  names.empty() ? "there are none" : "there are " + fmt::format("{}", fmt::join(names, ", ")),
                  more > 0 ? fmt::format(" and {} more", more) : ""));
}

}  // namespace mmbatch
