#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mmbatch::jinja {

// As std::string_view's find() and rfind(), but in a time that does not grow with the product of both sizes:
// what is searched, and for what, is from outside.
std::size_t find_text(std::string_view text, std::string_view wanted, std::size_t from = 0);
std::size_t find_last_text(std::string_view text, std::string_view wanted);
/// The bytes from the last to the first.
std::string reversed_bytes(std::string_view text);

}  // namespace mmbatch::jinja
