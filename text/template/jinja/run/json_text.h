#pragma once

#include "text/template/jinja/value/value.h"

namespace mmbatch::jinja {

/// The filter tojson, as transformers defines it: Python's json.dumps(value, ensure_ascii=False, indent=None,
/// separators=None, sort_keys=False), nothing escaped for HTML.  @throws RenderError
Value to_json(const Value& value, const Arguments& arguments);

}  // namespace mmbatch::jinja
