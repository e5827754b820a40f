#include "jobs/results/search/text_finder.h"

#include <sqlite3.h>

#include <cstdint>

#include "engine/base/text/lower_case.h"

namespace mmbatch {
namespace {

/// What one pass over a text's bytes tells. Most texts are told apart by it, without making them lower case.
struct Glance {
  bool is_ascii = true;
  bool may_contain = false;  // the first two bytes of the part are somewhere, in upper or lower case
};

/// The bit that tells an ASCII letter's upper from its lower case; nothing for what is not a letter.
std::uint8_t case_bit(char lower) {
  return lower >= 'a' && lower <= 'z' ? 0x20 : 0;
}

/// Without branches, so that the compiler takes many bytes at a time.
/// @param part in lower case, of two bytes at least
Glance glance(std::string_view text, std::string_view part) {
  const std::uint8_t first_case = case_bit(part[0]), second_case = case_bit(part[1]);
  const auto first = static_cast<std::uint8_t>(part[0]), second = static_cast<std::uint8_t>(part[1]);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  std::uint8_t all = text.empty() ? 0 : bytes[text.size() - 1], found = 0;
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    const std::uint8_t one = (bytes[i] | first_case) == first, two = (bytes[i + 1] | second_case) == second;
    all |= bytes[i];
    found |= one & two;
  }
  return {all < 0x80, found != 0};
}

void lower_ascii(std::string_view text, std::string& into) {
  into.assign(text);
  for (char& c : into) c = static_cast<char>(c | (c >= 'A' && c <= 'Z' ? 0x20 : 0));
}

std::string_view text_of(sqlite3_value* value) {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_value_text(value));
  return bytes == nullptr ? std::string_view()
                          : std::string_view(bytes, static_cast<std::size_t>(sqlite3_value_bytes(value)));
}

/// The finder is kept from row to row.
void contains_text(sqlite3_context* context, int, sqlite3_value** values) {
  if (sqlite3_value_type(values[0]) == SQLITE_NULL) return sqlite3_result_int(context, 0);
  auto* kept = static_cast<TextFinder*>(sqlite3_get_auxdata(context, 1));
  if (kept != nullptr) return sqlite3_result_int(context, kept->is_in(text_of(values[0])) ? 1 : 0);
  auto* finder = new TextFinder(text_of(values[1]));
  sqlite3_result_int(context, finder->is_in(text_of(values[0])) ? 1 : 0);
  sqlite3_set_auxdata(context, 1, finder, [](void* old) { delete static_cast<TextFinder*>(old); });
}

}  // namespace

TextFinder::TextFinder(std::string_view part) : part_(to_lower(part)) {}

bool TextFinder::is_in(std::string_view text) {
  Glance seen{true, true};
  if (part_.size() >= 2) {
    seen = glance(text, part_);
    if (seen.is_ascii && !seen.may_contain) return false;
  } else {
    for (const char c : text) seen.is_ascii = seen.is_ascii && static_cast<unsigned char>(c) < 0x80;
  }
  if (seen.is_ascii)
    lower_ascii(text, lowered_);
  else
    lowered_ = to_lower(text);
  return lowered_.find(part_) != std::string::npos;
}

void add_contains_text(sqlite3* database) {
  sqlite3_create_function(database, "contains_text", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nullptr,
                          contains_text, nullptr, nullptr);
}

}  // namespace mmbatch
