#include "text/tokenizer/unicode/normal_form.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uniset.h>

#include <stdexcept>

namespace mmbatch {
namespace {

/// The characters of Unicode 11.
const icu::UnicodeSet& known_characters() {
  static const icu::UnicodeSet known = [] {
    UErrorCode status = U_ZERO_ERROR;
    icu::UnicodeSet set(u"[:Age=11.0:]", status);
    if (U_FAILURE(status)) throw std::runtime_error("ICU has no data for the age of characters");
    set.freeze();
    return set;
  }();
  return known;
}

icu::FilteredNormalizer2 make_normalizer(const char* data, UNormalization2Mode mode) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* all = icu::Normalizer2::getInstance(nullptr, data, mode, status);
  if (U_FAILURE(status)) throw std::runtime_error("ICU has no data for Unicode normal forms");
  return {*all, known_characters()};
}

const icu::Normalizer2& normalizer(NormalForm form) {
  switch (form) {
    case NormalForm::nfc: {
      static const icu::FilteredNormalizer2 nfc = make_normalizer("nfc", UNORM2_COMPOSE);
      return nfc;
    }
    case NormalForm::nfd: {
      static const icu::FilteredNormalizer2 nfd = make_normalizer("nfc", UNORM2_DECOMPOSE);
      return nfd;
    }
    case NormalForm::nfkc: {
      static const icu::FilteredNormalizer2 nfkc = make_normalizer("nfkc", UNORM2_COMPOSE);
      return nfkc;
    }
    default: {
      static const icu::FilteredNormalizer2 nfkd = make_normalizer("nfkc", UNORM2_DECOMPOSE);
      return nfkd;
    }
  }
}

/// No form changes ASCII; below U+0300 nothing composes, so NFC leaves it too.
bool is_unchanged(std::string_view text, NormalForm form) {
  const unsigned char first = form == NormalForm::nfc ? 0xCC : 0x80;  // 0xCC begins U+0300
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= first) return false;
  }
  return true;
}

}  // namespace

std::string normalize(std::string_view text, NormalForm form) {
  std::string out;
  if (is_unchanged(text, form)) return std::string(text);
  UErrorCode status = U_ZERO_ERROR;
  icu::StringByteSink<std::string> sink(&out, static_cast<int32_t>(text.size()));
  normalizer(form).normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink,
                                 nullptr, status);
  if (U_FAILURE(status)) throw std::runtime_error(u_errorName(status));
  return out;
}

}  // namespace mmbatch
