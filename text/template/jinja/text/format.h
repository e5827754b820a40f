#pragma once

#include "text/template/jinja/value/value.h"

namespace mmbatch::jinja {

/// `format % values`, Python's printf.  @throws RenderError
Value percent_format(const Value& format, const Value& values);
/// `format.format(…)`.  @throws RenderError
Value brace_format(const Value& format, const Arguments& arguments);

}  // namespace mmbatch::jinja
