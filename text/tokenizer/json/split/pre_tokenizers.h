#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/config.h"
#include "text/tokenizer/models/token_model.h"

namespace mmbatch {

/// A stretch of text that becomes tokens by itself.
struct Piece {
  std::string_view text;
  bool at_beginning = false;  // of the whole text: nothing stands before it, and nothing was removed
  bool takes_prefix = true;   // what is to be put before a piece is
};

/// The pieces of one text, in their order; none is empty.
struct Pieces {
  std::vector<Piece> all;
  PieceForm form = PieceForm::characters;
  std::deque<std::string> made;  // texts that pieces point into, where they were changed
};

/// A step of a tokenizer.json's `pre_tokenizer`. Const after loading and thread-safe.
class PreTokenizer {
 public:
  PreTokenizer() = default;
  virtual ~PreTokenizer() = default;
  PreTokenizer(const PreTokenizer&) = delete;
  PreTokenizer& operator=(const PreTokenizer&) = delete;

  virtual void apply(Pieces& pieces) const = 0;
};

/// The steps of a `pre_tokenizer` section, in their order; none where it is absent or null.
/// @throws ModelError that names the key, and a type that is not supported.
std::vector<std::unique_ptr<const PreTokenizer>> read_pre_tokenizers(const Config& tokenizer);

}  // namespace mmbatch
