#pragma once

#include <string>
#include <string_view>

namespace mmbatch {

/// Checks a `precompiled_charsmap` of a sentencepiece model before the library sees it: the library follows
/// its offsets unchecked. The format is
///   blob := trie_bytes: u32 · units: u32[trie_bytes / 4] · replacements
///   replacements := (UTF-8 text · NUL)*
/// where units are a double array (Darts-clone) from texts to offsets of their replacements.
/// @throws ModelError that names `source`.
void check_charsmap(std::string_view blob, const std::string& source);

}  // namespace mmbatch
