#include "text/template/jinja/text/text_search.h"

#include <cstring>

namespace mmbatch::jinja {

std::size_t find_text(std::string_view text, std::string_view wanted, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  const void* found = ::memmem(text.data() + from, text.size() - from, wanted.data(), wanted.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

std::size_t find_last_text(std::string_view text, std::string_view wanted) {
  static constexpr std::size_t kFew = 64;
  if (wanted.size() <= kFew) return text.rfind(wanted);
  const std::size_t behind = find_text(reversed_bytes(text), reversed_bytes(wanted));
  return behind == std::string_view::npos ? behind : text.size() - behind - wanted.size();
}

std::string reversed_bytes(std::string_view text) {
  return {text.rbegin(), text.rend()};
}

}  // namespace mmbatch::jinja
