#pragma once

#include <string>
#include <string_view>

#include "text/template/jinja/value/value.h"

namespace mmbatch::jinja {

/// A value in the output: Python's str().
std::string print(const Value& value);
/// A value inside a list or dictionary: Python's repr().
std::string repr(const Value& value);
/// The same, of a value inside of `depth` others.  @throws RenderError where they are too many
void append_repr(const Value& value, std::string& out, int depth);
std::string print_integer(Int value);
/// The shortest digits that give the same number, written as Python writes them: 1.0, 1e+16, inf.
std::string print_float(double value);
/// `& < > ' "` as HTML writes them.
std::string escape_html(std::string_view text);

}  // namespace mmbatch::jinja
