#pragma once

#include <string_view>

#include "text/template/jinja/value/value.h"

namespace mmbatch::jinja {

/// `value.name`: a method, or else the element of that name.
Value attribute(const Value& value, std::string_view name);
/// `value[key]`: the element, or else the method of that name; undefined where there is neither.
Value element(const Value& value, const Value& key);
/// `value[start:stop:step]`, each of which may be none.  @throws RenderError
Value slice(const Value& value, const Value& start, const Value& stop, const Value& step);
/// An attribute such as `function.name` or `tags.0`, as filters take them.
Value attribute_path(const Value& value, const Value& path);

}  // namespace mmbatch::jinja
