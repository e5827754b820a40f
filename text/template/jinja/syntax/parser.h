#pragma once

#include <string_view>

#include "text/template/jinja/syntax/expression_parser.h"
#include "text/template/jinja/syntax/tree.h"

namespace mmbatch::jinja {

/// A template's statements.
/// @throws SyntaxError that names line and column: broken syntax, or a statement, filter or test that is not
/// known.
Body parse_template(std::string_view source, const KnownNames& known);

}  // namespace mmbatch::jinja
