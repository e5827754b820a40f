#pragma once

#include <string>

namespace mmbatch {

// The character classes of the `tokenizers` library, whose parts were built with Unicode 8 to 17: each
// function answers as that part does. Checked against version 0.23.3 on every code point.

/// Unicode's White_Space: U+0009-D, 20, 85, A0, 1680, 2000-200A, 2028, 2029, 202F, 205F, 3000.
bool is_white_space(char32_t c);
/// `\w`: alphabetic characters, marks, decimal digits, connectors, and the two joiners.
bool is_word_character(char32_t c);
/// Category N.
bool is_numeric(char32_t c);
/// Category P as of Unicode 8, and ASCII's symbols.
bool is_punctuation(char32_t c);
/// What StripAccents drops: marks as of Unicode 9.
bool is_accent(char32_t c);
/// What BertNormalizer drops as an accent: nonspacing marks as of Unicode 8.
bool is_bert_accent(char32_t c);
/// What BertNormalizer drops as a control character.
bool is_bert_control(char32_t c);
/// What BertNormalizer puts spaces around.
bool is_bert_ideograph(char32_t c);

/// A number for the character's script as of Unicode 9, with the Japanese syllabaries counted as Han;
/// kAnyScript for the space and for what has no script.
inline constexpr int kAnyScript = -1;
int script_of(char32_t c);

/// Appends the lower-case form: without regard to the characters around it.
void append_lower(char32_t c, std::string& out);

}  // namespace mmbatch
