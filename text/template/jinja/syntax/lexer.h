#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"

namespace mmbatch::jinja {

/// Where something is in a template: both from 1, columns in bytes.
struct Position {
  std::size_t line = 1, column = 1;
};

/// What a template cannot be read for; the message names line and column.
class SyntaxError : public ModelError {
 public:
  SyntaxError(const std::string& message, Position at);
};

struct Token {
  enum class Kind {
    data,
    block_begin,
    block_end,
    variable_begin,
    variable_end,
    name,
    integer,
    floating,
    string,
    op,
    end
  };
  Kind kind = Kind::end;
  std::string text;  // of a string: its value
  Position at;
};

/// The tokens of a template, with trim_blocks and lstrip_blocks on and keep_trailing_newline off, as
/// transformers sets Jinja up.  @throws SyntaxError
std::vector<Token> tokenize_template(std::string_view source);

}  // namespace mmbatch::jinja
