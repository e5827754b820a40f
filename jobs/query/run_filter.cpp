#include "jobs/query/run_filter.h"

#include <fmt/format.h>

#include <charconv>

#include "engine/base/error.h"

namespace mmbatch {

std::string run_filter(Database& database, const std::string& run) {
  if (run.empty()) return "r.current = 1";
  if (run == "all") return "1";
  std::int64_t number = 0;
  if (run == "latest") {
    number = database.number("SELECT max(key) FROM runs");
  } else {
    const auto [end, error] = std::from_chars(run.data(), run.data() + run.size(), number);
    if (error != std::errc{} || end != run.data() + run.size()) {
      throw UsageError(fmt::format("run '{}' is neither a number nor 'latest' or 'all'", run));
    }
  }
  Statement known = database.prepare("SELECT 1 FROM runs WHERE key = ?1");
  if (!known.bind(1, number).step()) {
    throw UsageError(fmt::format("{}: there is no run {}; runs are 1 to {}", database.file().string(), run,
                                 database.number("SELECT max(key) FROM runs")));
  }
  return fmt::format("r.run_key = {} AND r.current >= 0", number);
}

}  // namespace mmbatch
