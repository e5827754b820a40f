#include "text/tokenizer/json/normalize/precompiled.h"

#include <unicode/brkiter.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "engine/base/text/base64.h"
#include "engine/base/text/utf8.h"
#include "text/tokenizer/sentencepiece/charsmap.h"

namespace mmbatch {
namespace {

constexpr std::size_t kWholeClusterBytes = 6;  // shorter clusters are looked up as a whole

icu::BreakIterator& cluster_breaks() {
  static const std::unique_ptr<icu::BreakIterator> shared = [] {
    UErrorCode status = U_ZERO_ERROR;
    std::unique_ptr<icu::BreakIterator> made(
        icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
    if (U_FAILURE(status)) throw std::runtime_error("ICU has no data for grapheme clusters");
    return made;
  }();
  thread_local const std::unique_ptr<icu::BreakIterator> own(shared->clone());
  return *own;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

PrecompiledMap::PrecompiledMap(const Config& step, const std::string& key) {
  const auto bytes = from_base64(step.text(key, ""));
  if (!bytes) step.fail(key, "expected base64");
  const std::string_view blob(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  check_charsmap(blob, step.where(key));
  auto table = std::make_shared<Table>();
  std::uint32_t unit_bytes = 0;
  std::memcpy(&unit_bytes, blob.data(), sizeof(unit_bytes));
  table->units.resize(unit_bytes / sizeof(std::uint32_t));
  std::memcpy(table->units.data(), blob.data() + sizeof(unit_bytes), unit_bytes);
  table->replacements = blob.substr(sizeof(unit_bytes) + unit_bytes);
  table_ = std::move(table);
}

/// Units as in sentencepiece/charsmap.cpp, which has checked that no way leads out of them.
const char* PrecompiledMap::find(std::string_view text) const {
  const std::vector<std::uint32_t>& units = table_->units;
  const auto offset = [](std::uint32_t unit) { return unit >> 10 << ((unit & 0x200) >> 6); };
  std::size_t at = offset(units[0]);
  for (const char c : text) {
    const auto label = static_cast<unsigned char>(c);
    if (label == 0) break;
    at ^= label;
    const std::uint32_t unit = units[at];
    if ((unit & 0x800000FF) != label) return nullptr;
    at ^= offset(unit);
    if ((unit >> 8 & 1) != 0) return table_->replacements.c_str() + (units[at] & 0x7FFFFFFF);
  }
  return nullptr;
}

void PrecompiledMap::apply_to_characters(std::string_view text, std::string& out) const {
  while (!text.empty()) {
    const std::string_view character = text.substr(0, std::max<std::size_t>(1, utf8_length(text)));
    text.remove_prefix(character.size());
    if (const char* replacement = find(character)) {
      out += replacement;
    } else {
      out += character;
    }
  }
}

std::string PrecompiledMap::apply(std::string_view text) const {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  if (is_ascii(text) && text.find('\r') == std::string_view::npos) {  // every character is a cluster
    apply_to_characters(text, out);
    return out;
  }
  UErrorCode status = U_ZERO_ERROR;
  UText utext = UTEXT_INITIALIZER;
  utext_openUTF8(&utext, text.data(), static_cast<int64_t>(text.size()), &status);
  icu::BreakIterator& breaks = cluster_breaks();
  breaks.setText(&utext, status);
  if (U_FAILURE(status)) throw std::runtime_error(u_errorName(status));
  std::size_t begin = 0;
  for (int32_t end = breaks.next(); end != icu::BreakIterator::DONE; end = breaks.next()) {
    const std::string_view cluster = text.substr(begin, static_cast<std::size_t>(end) - begin);
    begin = static_cast<std::size_t>(end);
    const char* whole = cluster.size() < kWholeClusterBytes ? find(cluster) : nullptr;
    if (whole != nullptr) {
      out += whole;
    } else {
      apply_to_characters(cluster, out);
    }
  }
  utext_close(&utext);
  return out;
}

}  // namespace mmbatch
