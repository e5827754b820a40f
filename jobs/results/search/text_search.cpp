#include "jobs/results/search/text_search.h"

#include <fmt/format.h>

#include "engine/base/text/utf8.h"

namespace mmbatch {
namespace {

/// Trigrams find texts of three code points or more; shorter ones take a scan.
constexpr std::size_t kTrigram = 3;

std::size_t code_points(const std::string& text) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++count) next_code_point(text, at);
  return count;
}

/// A text as one phrase of FTS5's language.
std::string quoted(const std::string& text) {
  return "\"" + replace_all(text, "\"", "\"\"") + "\"";
}

}  // namespace

std::optional<std::string> phrases_of_few(Database& database, const std::string& text, std::int64_t most) {
  const bool by_trigrams = code_points(text) >= kTrigram;
  // Of very long texts the index has the beginning.
  const bool has_cut = database.number("SELECT count(*) FROM sqlite_schema WHERE name = 'phrases_cut'") > 0;
  const std::string phrases =
      !by_trigrams ? "SELECT key AS phrase FROM phrases WHERE contains_text(text, ?1)"
      : has_cut
          ? "SELECT rowid AS phrase FROM texts WHERE texts MATCH ?1 UNION SELECT key FROM phrases INDEXED BY "
            "phrases_cut WHERE indexed IS NOT NULL AND contains_text(text, ?2)"
          : "SELECT rowid AS phrase FROM texts WHERE texts MATCH ?1";
  const auto rows_by = [&](const char* rows) {
    return fmt::format("(SELECT count(*) FROM (SELECT 1 FROM {} = phrase LIMIT {}))", rows, most + 1);
  };
  Statement found = database.prepare(fmt::format(
      "SELECT phrase, {} + {} FROM ({})", rows_by("items INDEXED BY items_phrase WHERE prompt_phrase"),
      rows_by("results INDEXED BY results_phrase WHERE answer_phrase"), phrases));
  found.bind(1, by_trigrams ? quoted(text) : text);
  if (by_trigrams && has_cut) found.bind(2, text);
  std::string keys = "[";
  for (std::int64_t rows = 0; found.step();) {
    const std::int64_t more = found.integer(1);
    if (more == 0) continue;  // whose rows are gone
    if ((rows += more) > most) return std::nullopt;
    fmt::format_to(std::back_inserter(keys), "{}{}", keys.size() > 1 ? "," : "", found.integer(0));
  }
  return keys + "]";
}

}  // namespace mmbatch
