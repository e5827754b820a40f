#pragma once

#include <string_view>

#include "text/template/jinja/value/value.h"

namespace mmbatch::jinja {

using Filter = Value (*)(const Value& value, const Arguments& arguments);
/// nullptr when there is no such filter.
Filter find_filter(std::string_view name);

using Test = bool (*)(const Value& value, const Arguments& arguments);
/// nullptr when there is no such test.
Test find_test(std::string_view name);

// The filters by what they work on; find_filter() looks in both.
Filter find_text_filter(std::string_view name);
Filter find_list_filter(std::string_view name);

}  // namespace mmbatch::jinja
