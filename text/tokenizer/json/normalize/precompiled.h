#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/config.h"

namespace mmbatch {

/// sentencepiece's table of replacements (`precompiled_charsmap`), applied as the `tokenizers` library does:
/// to grapheme clusters of less than six bytes as a whole, of which the shortest beginning in the table
/// replaces all, and else to each character. Thread-safe; cheap to copy.
class PrecompiledMap {
 public:
  /// @throws ModelError when the value of `key` is not such a table in base64.
  PrecompiledMap(const Config& step, const std::string& key);

  std::string apply(std::string_view text) const;

 private:
  struct Table {
    std::vector<std::uint32_t>
        units;                 // a double array of Darts-clone, from texts to places in `replacements`
    std::string replacements;  // each ends with a NUL
  };

  /// The replacement of the shortest beginning of `text`; nullptr where the table has none.
  const char* find(std::string_view text) const;
  void apply_to_characters(std::string_view text, std::string& out) const;

  std::shared_ptr<const Table> table_;
};

}  // namespace mmbatch
