#pragma once

#include <string>
#include <string_view>

#include "text/template/jinja/value/value.h"

namespace mmbatch::jinja {

/// `+ - * / // % **` as Python has them.  @throws RenderError
Value arithmetic(std::string_view op, const Value& left, const Value& right);
Value negate(const Value& value);
Value positive(const Value& value);

bool equal(const Value& left, const Value& right);
/// `<`, `<=`, `>` or `>=`.  @throws RenderError for what has no order
bool ordered(std::string_view op, const Value& left, const Value& right);
/// `item in container`.  @throws RenderError
bool contains(const Value& container, const Value& item);

/// Integers whose product, sum … does not fit are an error.
inline constexpr std::size_t kMaxTextBytes = 16u << 20;
inline constexpr std::size_t kMaxItems = 1u << 20;
/// @throws RenderError when a text or list would become larger than a template may make it.
void check_size(std::size_t bytes, std::size_t most);

}  // namespace mmbatch::jinja
